import os

from switchgear.control import disk


def test_the_bytes_of_segments_are_counted_and_of_nothing_else(tmp_path):
    for name, size in (("edge-0/1.seg", 10), ("edge-1/2.seg", 5), ("edge-1/lock", 100), ("vault/3.seg", 100)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * size)
    assert disk.spool_bytes(tmp_path) == 15
    assert disk.spool_bytes(tmp_path / "nowhere") == 0


def test_a_link_in_a_spool_is_not_followed(tmp_path):
    (tmp_path / "edge-0").mkdir()
    (tmp_path / "large").write_bytes(b"x" * 10_000)
    os.symlink(tmp_path / "large", tmp_path / "edge-0" / "1.seg")
    assert disk.spool_bytes(tmp_path) < 1_000


def test_a_folder_that_somebody_filled_is_looked_at_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FILES_MAX", 3)
    (tmp_path / "edge-0").mkdir()
    for number in range(9):
        (tmp_path / "edge-0" / f"{number}.seg").write_bytes(b"x")
    assert disk.spool_bytes(tmp_path) == 3


def test_the_free_share_of_a_disk_is_a_share(tmp_path):
    assert 0.0 <= disk.free_share(tmp_path) <= 1.0
