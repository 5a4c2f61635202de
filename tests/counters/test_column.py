"""A column's file: made whole, refused where it is not, recovered after a kill."""

import os

import pytest
from tests.counters.test_backend import NAMES, SMALL, Time, balance, columns, shared, slots, taken, window

from switchgear.core.errors import RecordError
from switchgear.counters import column, layout
from switchgear.counters.column import Column, path_of
from switchgear.counters.layout import HEADER_WORDS, HOLD_WORDS, Geometry
from switchgear.policies.buckets import Kind


def again(folder, **changed):
    given = {"geometry": SMALL, "store": b"s" * 16, "boot": b"b" * 16} | changed
    return column.prepare(folder, NAMES, entropy=os.urandom, **given)


def test_columns_are_made_once(tmp_path):
    assert columns(tmp_path) == list(NAMES)
    assert columns(tmp_path) == []
    assert len({column.read_identity(path_of(tmp_path, name)).salt for name in NAMES}) == 1


def test_columns_are_allocated_on_the_disk(tmp_path):
    columns(tmp_path)
    for name in NAMES:
        info = path_of(tmp_path, name).stat()
        assert info.st_size == SMALL.file_bytes
        assert info.st_blocks * 512 >= info.st_size, "no hole that a full disk could not fill"
        assert info.st_mode & 0o7777 == 0o640


@pytest.mark.parametrize(
    "changed",
    [{"boot": b"c" * 16}, {"store": b"t" * 16}, {"geometry": Geometry(windows=32, slots=64, balances=64, holds=9)}],
)
def test_columns_of_another_boot_store_or_size_are_made_again(tmp_path, changed):
    columns(tmp_path)
    assert again(tmp_path, **changed) == list(NAMES)
    assert again(tmp_path, **changed) == []


def test_columns_of_processes_that_are_no_longer_started_still_count(tmp_path):
    columns(tmp_path)
    assert column.present(tmp_path, SMALL, b"s" * 16, b"b" * 16) == sorted(NAMES)
    fewer = column.prepare(tmp_path, NAMES[1:], SMALL, b"s" * 16, b"b" * 16, os.urandom)
    assert fewer == []
    assert column.present(tmp_path, SMALL, b"s" * 16, b"b" * 16) == sorted(NAMES)
    assert column.present(tmp_path / "missing", SMALL, b"s" * 16, b"b" * 16) == []


def test_columns_of_another_boot_that_nobody_wants_are_removed(tmp_path):
    columns(tmp_path)
    garble(path_of(tmp_path, "odd"))
    column.prepare(tmp_path, NAMES[1:], SMALL, b"s" * 16, b"c" * 16, os.urandom)
    assert column.present(tmp_path, SMALL, b"s" * 16, b"c" * 16) == sorted(NAMES[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["control.column", "edge-1.column", "lock"]


def cut(path):
    os.truncate(path, 4_096)


def garble(path):
    path.write_bytes(os.urandom(SMALL.file_bytes))


def raise_version(path):
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = [cut, garble, raise_version, remove, empty, link, pipe]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_column_is_refused_and_made_again_alone(tmp_path, damage):
    columns(tmp_path)
    salt = column.read_identity(path_of(tmp_path, NAMES[0])).salt
    damage(path_of(tmp_path, NAMES[1]))
    with pytest.raises((RecordError, OSError)):
        Column(path_of(tmp_path, NAMES[1]), is_own=True).close()
    assert columns(tmp_path) == [NAMES[1]]
    assert column.read_identity(path_of(tmp_path, NAMES[1])).salt == salt


def test_a_column_has_one_owner(tmp_path):
    columns(tmp_path)
    owner = Column(path_of(tmp_path, "edge-0"), is_own=True)
    with pytest.raises(BlockingIOError):
        Column(path_of(tmp_path, "edge-0"), is_own=True)
    reader = Column(path_of(tmp_path, "edge-0"))
    with pytest.raises(TypeError):
        reader.words[100] = 1
    owner.words[100] = 7
    assert reader.words[100] == 7
    for one in (owner, reader):
        one.close()


def test_a_column_that_was_replaced_cut_or_garbled_is_no_longer_whole(tmp_path):
    for damage in (remove, link, cut):
        columns(tmp_path)
        reader = Column(path_of(tmp_path, "edge-1"))
        assert reader.is_whole()
        damage(path_of(tmp_path, "edge-1"))
        assert not reader.is_whole()
        reader.close()
        path_of(tmp_path, "edge-1").unlink(missing_ok=True)


class Killed(BaseException):
    """Stands for kill -9 between two writes."""


class Words:
    """Words of a column, whose owner is killed before write number `left`."""

    def __init__(self, words, left):
        self.words, self.left = words, left

    def __getitem__(self, at):
        return self.words[at]

    def __setitem__(self, at, value):
        if self.left[0] == 0:
            raise Killed
        self.left[0] -= 1
        self.words[at] = value

    def release(self):
        self.words.release()


def killed_after(edge, writes, act):
    """Let an edge be killed after so many writes; tells whether it was."""
    own, left = edge.own, [writes]
    own.words, own.counts = Words(own.words, left), Words(own.counts, left)
    try:
        act()
    except Killed:
        return True
    finally:
        own.words, own.counts = own.words.words, own.counts.words
    return False


def everything(amount):
    return ((window(50, "tokens"), amount), (slots(9), 1), (balance(500, is_budget=True), amount))


def open_amounts(edge):
    """What is held of each kind, by the holds themselves."""
    words, sums = edge.own.words, dict.fromkeys(Kind, 0)
    for at in range(HEADER_WORDS, HEADER_WORDS + SMALL.holds * HOLD_WORDS, HOLD_WORDS):
        if words[at]:
            sums[Kind(words[at + layout.H_PLACE] & 7)] += words[at + layout.H_AMOUNT]
    return sums


def orphans(edge):
    return [ticket for tickets in edge.orphans.values() for ticket in tickets]


def test_N1_a_kill_at_any_write_of_a_settlement_is_undone_or_done(tmp_path):
    """And what is done is done once: settled and held change together for each hold."""
    for writes in range(100):
        folder = tmp_path / str(writes)
        edge = shared(Time(), folder)
        kept = taken(edge, *everything(7))
        ticket = taken(edge, *everything(20))

        def act(edge=edge, ticket=ticket):
            edge.settle(ticket, (5, 1, 6))
            edge.flush()

        was_killed = killed_after(edge, writes, act)
        edge.close()
        successor = shared(Time(), folder)
        left = [orphan for orphan in orphans(successor) if orphan.number == ticket.number]
        tokens, parallel, money = successor.read([bucket for bucket, _ in everything(0)])
        sums = open_amounts(successor)
        assert parallel.held == sums[Kind.SLOTS]
        assert money.held == sums[Kind.BALANCE]
        assert (money.held, money.settled) in {(27, 0), (7, 6)}
        assert tokens.used in {27, 12}
        for orphan in left:
            successor.settle(orphan, (5, 1, 6))
        successor.flush()
        tokens, parallel, money = successor.read([bucket for bucket, _ in everything(0)])
        assert (tokens.used, parallel.held, money.held, money.settled) == (12, 1, 7, 6)
        assert kept.number in {orphan.number for orphan in orphans(successor)}
        successor.close()
        if not was_killed:
            assert writes > 10
            return
    raise AssertionError("the settlement never came to its end")


def test_N1_a_kill_at_any_write_of_a_take_holds_nothing_that_no_successor_sees(tmp_path):
    for writes in range(100):
        folder = tmp_path / str(writes)
        edge = shared(Time(), folder)
        taken(edge, *everything(7))
        was_killed = killed_after(edge, writes, lambda edge=edge: taken(edge, *everything(20)))
        edge.close()
        successor = shared(Time(), folder)
        tokens, parallel, money = successor.read([bucket for bucket, _ in everything(0)])
        sums = open_amounts(successor)
        assert (parallel.held, money.held) == (sums[Kind.SLOTS], sums[Kind.BALANCE])
        assert tokens.used in {7, 27}
        for orphan in orphans(successor):
            successor.release(orphan)
        successor.flush()
        tokens, parallel, money = successor.read([bucket for bucket, _ in everything(0)])
        assert (parallel.held, money.held, money.settled) == (0, 0, 0)
        assert tokens.used in {0, 20}, "what was counted and never held leaves with its window"
        successor.close()
        if not was_killed:
            assert writes > 10
            return
    raise AssertionError("the take never came to its end")


def test_who_holds_the_lock_for_a_second_is_named(tmp_path):
    columns(tmp_path)
    owner = Column(path_of(tmp_path, "edge-1"), is_own=True)
    owner.words[layout.HOLDING] = 5_000_000
    assert column.stuck(tmp_path, [*NAMES, "missing"], 5_900_000) == []
    assert column.stuck(tmp_path, [*NAMES, "missing"], 6_000_001) == ["edge-1"]
    owner.close()


def test_balances_can_be_forgotten(tmp_path):
    columns(tmp_path)
    owner = Column(path_of(tmp_path, "control"), is_own=True)
    owner.words[layout.EPOCH] = 5
    owner.close()
    column.forget_balances(tmp_path, "control")
    reader = Column(path_of(tmp_path, "control"))
    assert reader.words[layout.EPOCH] == 0
    reader.close()


def test_holders_of_a_lock_are_read_from_the_kernels_list():
    """The format of proc_locks(5), with one that waits."""
    text = (
        "1: POSIX  ADVISORY  WRITE 2796 fe:00:77 120 120\n"
        "2: FLOCK  ADVISORY  WRITE 9781 fe:00:77 0 EOF\n"
        "2: -> FLOCK  ADVISORY  WRITE 9782 fe:00:77 0 EOF\n"
        "3: FLOCK  ADVISORY  READ  9783 fe:00:177 0 EOF\n"
    )
    assert column.holders(text, 77) == {9781}
    assert column.holders("", 77) == column.holders("nonsense\n", 77) == set()
