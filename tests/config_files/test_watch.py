"""What a configuration is read from: the same in the process that reads it and in one that only watches."""

import subprocess
import sys

import msgspec

from switchgear.config_files.load import load_config
from switchgear.config_files.sources import Sources
from switchgear.config_files.watch import watch


def write(folder, text, name="switchgear.yaml"):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def test_the_watching_program_gives_the_digest_of_all_files(tmp_path):
    path = write(tmp_path, "include: ['parts/*.yaml']\n")
    part = write(tmp_path, "workers: 1\n", "parts/a.yaml")
    loaded = load_config(path, {})
    done = subprocess.run(
        [sys.executable, "-I", "-m", "switchgear.config_files.watch", str(path)], capture_output=True, check=True
    )
    found = msgspec.json.decode(done.stdout, type=Sources)
    assert found == loaded.sources == watch(str(path))
    assert found.digest == loaded.compiled.digest
    assert found.files == [str(part), str(path)]
    part.write_text("workers: 2\n")
    assert watch(str(path)).digest != found.digest


def test_a_file_that_cannot_be_read_has_an_empty_digest(tmp_path):
    gone = str(tmp_path / "gone.yaml")
    assert watch(gone) == Sources(files=[gone], patterns=[], digest="")
