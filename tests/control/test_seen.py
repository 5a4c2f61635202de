import pytest

from switchgear.control import seen
from switchgear.control.seen import Doubt, Mark, Seen
from switchgear.store.objects import SignedRow

ROW = SignedRow(5, b"new")


@pytest.mark.parametrize(
    ("row", "mark", "goes_by", "why"),
    [
        (ROW, None, Mark(5, b"new"), None),
        (ROW, Mark(4, b"old"), Mark(5, b"new"), None),
        (ROW, Mark(5, b"old"), Mark(5, b"new"), None),
        (SignedRow(5, None), Mark(4, b"old"), Mark(5, None), None),
        (ROW, Mark(6, b"old"), Mark(6, b"old"), "older"),
        (ROW, Mark(6, None), Mark(6, None), "older"),
        (SignedRow(7, b"new", False), Mark(6, b"old"), Mark(6, b"old"), "forged"),
        (SignedRow(7, b"new", False), None, None, "forged"),
        (None, Mark(6, b"old"), Mark(6, b"old"), "missing"),
        (None, Mark(6, None), Mark(6, None), None),
    ],
)
def test_S5_a_row_counts_when_it_is_signed_there_and_not_older_than_what_was_seen(row, mark, goes_by, why):
    rows = {"model": {"m": row} if row is not None else {}}
    judged = seen.judge(rows, {"model": {"m": mark}} if mark is not None else {})
    assert judged.marks == {"model": {"m": goes_by} if goes_by is not None else {}}
    assert judged.doubts == ([Doubt("model", "m", why)] if why is not None else [])
    body = goes_by.body if goes_by is not None else None
    assert judged.bodies("model") == ({"m": body} if body is not None else {})


def test_doubts_are_told_by_kind_and_reason_with_some_names():
    doubts = [Doubt("key", f"k{n}", "missing") for n in range(7)] + [Doubt("model", "m", "forged")]
    assert seen.sentences(doubts) == [
        "7 keys are gone from the store: 'k0', 'k1', 'k2', 'k3', 'k4' and 2 more; what was published stays: switchgear store check",
        "the model 'm' was not written by this gateway; what was published stays: switchgear store check",
    ]


def test_what_was_seen_is_kept_over_a_restart_and_written_only_when_it_changed(tmp_path):
    marks = {"model": {"m": Mark(5, b"body"), "n": Mark(6, None)}}
    first = Seen(tmp_path / "seen")
    first.load()
    first.keep(marks)
    before = (tmp_path / "seen").stat().st_ino
    first.keep(dict(marks))
    assert (tmp_path / "seen").stat().st_ino == before, "it is replaced as a whole when it is written"
    second = Seen(tmp_path / "seen")
    second.load()
    assert second.marks == marks and second.trouble is None
    assert (tmp_path / "seen").stat().st_mode & 0o777 == 0o600


def test_what_could_not_be_written_is_known_and_written_the_next_time(tmp_path):
    kept = Seen(tmp_path / "away" / "seen")
    marks = {"model": {"m": Mark(5, b"body")}}
    with pytest.raises(FileNotFoundError):
        kept.keep(marks)
    assert kept.marks == marks
    (tmp_path / "away").mkdir()
    kept.keep(marks)
    assert (tmp_path / "away" / "seen").exists()


@pytest.mark.parametrize("content", [b"", b"\xff", b"\x91\x01", b"\x81\xa1k\x01"])
def test_a_damaged_file_is_told_and_keeps_nothing_from_starting(tmp_path, content):
    (tmp_path / "seen").write_bytes(content)
    found = Seen(tmp_path / "seen")
    found.load()
    assert found.marks == {} and "is damaged" in found.trouble
