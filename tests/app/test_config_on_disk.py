"""The configuration on the disk: an edit, a new file and one that is gone are noticed."""

from switchgear.app.config_on_disk import ConfigOnDisk
from switchgear.config_files.load import load_config
from switchgear.config_files.sources import Sources
from switchgear.testing.patience import until


def write(folder, text, name="switchgear.yaml"):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def test_an_edit_a_new_file_and_one_that_is_gone_change_the_digest(tmp_path):
    path = write(tmp_path, "include: ['parts/*.yaml']\n")
    part = write(tmp_path, "workers: 1\n", "parts/a.yaml")
    sources = load_config(path, {}).sources
    disk = ConfigOnDisk(str(path), sources)
    assert disk.digest() == sources.digest
    seen = {sources.digest}
    for change in (
        lambda: part.write_text("workers: 2\n"),
        lambda: write(tmp_path, "models: {a: openai/x}\n", "parts/b.yaml"),
        part.unlink,
        lambda: path.write_text("workers: 4\n"),
        path.unlink,
    ):
        change()
        found = until(disk.digest, lambda digest: digest not in seen)
        seen.add(found)
    assert found == ""


def test_without_a_file_the_digest_is_empty():
    assert ConfigOnDisk("", Sources([], [], "")).digest() == ""
