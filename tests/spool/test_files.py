"""Names, locks and durable files."""

import os

import pytest

from switchgear.core.errors import RecordError
from switchgear.spool import files


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
