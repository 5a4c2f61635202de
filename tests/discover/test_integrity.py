import base64
import hashlib
import os

import msgspec
import pytest

from switchgear.discover import integrity


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "site-packages"
    (site / "good").mkdir(parents=True)
    (site / "good/a.py").write_bytes(b"x = 1\n")
    (site / "good.pth").write_bytes(b"import good\n")
    info = site / "good-1.0.dist-info"
    info.mkdir()
    rows = []
    for name in ("good/a.py", "good.pth"):
        digest = base64.urlsafe_b64encode(hashlib.sha256((site / name).read_bytes()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{(site / name).stat().st_size}")
    (info / "RECORD").write_text("\n".join([*rows, "good-1.0.dist-info/RECORD,,"]) + "\n")
    return site


def rules(folder):
    return [f.rule for f in integrity.check(folder)]


def test_what_was_installed_is_fine(folder):
    assert rules(folder) == []


def test_a_changed_a_missing_and_an_unreadable_record(folder):
    (folder / "good/a.py").write_bytes(b"x = 2\n")
    assert rules(folder) == ["file-changed"]
    (folder / "good/a.py").unlink()
    assert rules(folder) == ["file-missing"]
    (folder / "good-1.0.dist-info/RECORD").unlink()
    assert rules(folder) == ["record-missing", "pth-foreign"]


def test_files_that_run_at_every_start(folder):
    (folder / "litellm_init.pth").write_text("import os; os.system('true')\n")
    (folder / "paths.pth").write_text("/somewhere/else\n")
    (folder / "sitecustomize.py").write_text("")
    assert sorted(rules(folder)) == ["pth-foreign", "sitecustomize"]


def test_a_folder_that_everybody_may_write(folder):
    folder.chmod(0o777)
    assert rules(folder) == ["packages-writable"]


def test_the_running_environment_has_no_changed_file():
    found = [f for site in integrity.site_folders() for f in integrity.check(site)]
    assert [f for f in found if f.rule in {"file-changed", "pth-foreign"}] == []


def test_a_pipe_in_a_record_does_not_hold_the_check(folder):
    (folder / "good/a.py").unlink()
    os.mkfifo(folder / "good/a.py")
    assert rules(folder) == ["file-changed"]


def test_this_environment_is_listed():
    assert ("msgspec", msgspec.__version__) in integrity.installed()
