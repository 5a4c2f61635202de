"""Names, locks and durable files."""

import os

import pytest

from switchgear.core.errors import RecordError
from switchgear.spool import files
from switchgear.wire import records
from switchgear.wire.records import Kind


def test_segments_are_listed_in_order_and_strangers_ignored(tmp_path):
    for name in ("00000010.seg", "00000002.seg", "next", "x.seg", "00000003.seg.bak"):
        (tmp_path / name).touch()
    assert files.segment_numbers(tmp_path) == [2, 10]


def test_a_durable_write_replaces_as_one_step(tmp_path):
    path = tmp_path / "f"
    files.write_durably(path, b"one")
    files.write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_the_id_is_made_once(tmp_path):
    first = files.read_or_create_id(tmp_path, os.urandom)
    assert files.read_or_create_id(tmp_path, os.urandom) == first
    assert len(first) == 32


def test_a_lock_is_held_once(tmp_path):
    fd = files.try_lock(tmp_path, os.urandom)
    assert files.try_lock(tmp_path, os.urandom) is None
    os.close(fd)
    again = files.try_lock(tmp_path, os.urandom)
    assert again is not None
    os.close(again)


def test_L5_a_folder_filled_with_files_is_refused_before_it_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "NAMES_MAX", 10)
    for number in range(10):
        (tmp_path / files.segment_name(number)).touch()
    assert len(files.segment_numbers(tmp_path)) == 10
    (tmp_path / "x").touch()
    with pytest.raises(RecordError):
        files.segment_numbers(tmp_path)


class Counted:
    """Entropy that tells its bytes apart."""

    def __init__(self):
        self.calls = 0

    def __call__(self, size):
        self.calls += 1
        return bytes([self.calls]) * size


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_L5_what_is_no_regular_file_is_not_read(tmp_path, kind):
    path = tmp_path / "00000001.seg"
    if kind == "link":
        (tmp_path / "database").write_bytes(b"x")
        path.symlink_to(tmp_path / "database")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for read in (files.open_to_read, files.read_whole):
        with pytest.raises(RecordError, match="no regular file"):
            read(path)


def test_L5_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "00000001.seg"
    with path.open("wb") as file:
        file.truncate(files.FILE_BYTES_MAX + 1)
    with pytest.raises(RecordError, match="too large"):
        files.read_whole(path)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read_whole(tmp_path / "none")


def test_a_segment_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "00000001.seg"
    path.write_bytes(b"abc")
    assert files.read_whole(path) == b"abc"


def test_the_beginning_of_a_segment_says_whose_it_is(tmp_path):
    path, seed = tmp_path / "00000001.seg", 7
    segment = records.Segment("s" * 32, 1, "run", 5)
    path.write_bytes(records.frame(seed, 0, Kind.SEGMENT, 0, records.encode_payload(segment)) + bytes(8))
    assert files.beginning(path, seed) == segment
    with pytest.raises(RecordError, match="does not begin"):
        files.beginning(path, seed + 1)  # another spool's
    path.write_bytes(bytes(64))
    assert files.beginning(path, seed) is None, "a power cut took what was written"


def test_a_segment_that_begins_with_another_record_is_refused(tmp_path):
    path, seed = tmp_path / "00000001.seg", 7
    orphan = records.Checkpoint("0" * 32, 0, 0, 0, 0, 200)
    path.write_bytes(records.frame(seed, 0, Kind.CHECKPOINT, 0, records.encode_payload(orphan)))
    with pytest.raises(RecordError, match="does not begin"):
        files.beginning(path, seed)


@pytest.mark.parametrize("what", ["text", "link", "folder"])
def test_L5_an_id_that_is_none_is_set_aside_and_made_anew(tmp_path, what):
    path = tmp_path / "id"
    if what == "text":
        path.write_bytes(b"../../etc\n")
    elif what == "link":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises((RecordError, OSError)):
        files.read_id(tmp_path)
    made = files.read_or_create_id(tmp_path, Counted())
    assert files.read_id(tmp_path) == made and len(made) == 32
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".bad")]) == 1


@pytest.mark.parametrize("what", ["link", "folder"])
def test_L5_a_lock_that_is_none_is_set_aside(tmp_path, what):
    if what == "link":
        (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "lock").mkdir()
    fd = files.try_lock(tmp_path, Counted())
    assert fd is not None and not (tmp_path / "elsewhere").exists()
    assert files.try_lock(tmp_path, Counted()) is None
    os.close(fd)


def test_L5_a_folder_that_was_flooded_is_emptied_but_for_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "NAMES_MAX", 10)
    (tmp_path / "lock").touch()
    (tmp_path / "folder").mkdir()
    for number in range(20):
        (tmp_path / str(number)).touch()
    files.prepare(tmp_path, Counted())
    left = sorted(os.listdir(tmp_path))
    assert left[1] == "lock" and left[0].startswith("folder.") and left[0].endswith(".bad") and len(left) == 2


@pytest.mark.parametrize("what", ["link", "folder"])
def test_L5_a_following_segment_that_is_no_file_is_set_aside(tmp_path, what):
    following = tmp_path / "next"
    if what == "link":
        following.symlink_to(tmp_path / "elsewhere")
    else:
        following.mkdir()
    files.prepare(tmp_path, Counted())
    assert not following.is_symlink() and not following.exists()
    assert len([name for name in os.listdir(tmp_path) if name.startswith("next.")]) == 1


def test_an_ordinary_folder_is_left_as_it_is(tmp_path):
    for name in ("lock", "id", "next", "00000001.seg"):
        (tmp_path / name).write_bytes(b"x")
    files.prepare(tmp_path, Counted())
    assert sorted(os.listdir(tmp_path)) == ["00000001.seg", "id", "lock", "next"]
