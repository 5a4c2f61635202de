"""Plain files are read, up to a size; anything else is refused at once."""

import os

import pytest

from switchgear.config_files.files import Disk, read_bytes, read_text


def test_a_file_over_its_bound_is_refused(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * 2_000_000)
    with pytest.raises(ValueError, match="over 1 MiB"):
        read_bytes(str(path), 1 << 20)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_a_folder_pipe_or_device_is_refused_without_waiting(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"plain file|cannot be read"):
        read_bytes(str(path), 100)
    assert read_text(str(path)) is None


def test_a_file_that_does_not_exist_is_named_so(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_bytes(str(tmp_path / "gone"), 100)
    with pytest.raises(ValueError, match="not a file's name"):
        read_bytes("a\0b", 100)


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path):
    path = tmp_path / "part.yaml"
    path.write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="byte 2"):
        Disk().read(str(path))
    assert read_text(str(path)) is None


def test_a_pattern_matches_files_in_order_and_no_folders(tmp_path):
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "c.yaml").mkdir()
    assert Disk().match(f"{tmp_path}/*.yaml") == [f"{tmp_path}/a.yaml", f"{tmp_path}/b.yaml"]


def test_two_paths_of_one_file_are_the_same(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "b").symlink_to("a")
    disk = Disk()
    assert disk.identity(f"{tmp_path}/./b") == disk.identity(f"{tmp_path}/a")
    assert disk.identity("a\0b") == "a\0b"
