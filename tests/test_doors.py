"""Every callback is a door with a guard: the list is generated from the sources (decision 020)."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
from tests import doors

ROOT = Path(__file__).parent.parent
ROOMS = (
    "edge",
    "net",
    "vault",
    "spool",
    "control",
    "ledger",
    "store",
    "replica",
    "app",
    "discover",
    "detect",
    "confine",
)
"""What serves requests, administers and looks around: edges, vault, control, supervisor, discover."""


def test_every_callback_is_guarded():
    found = doors.find(*ROOMS)
    assert len(found) > 40, "the list is generated: something must be found"
    assert [str(door) for door in found if not door.is_guarded] == []


def test_the_list_of_doors_reached_elsewhere_names_existing_doors_and_tests():
    from tests.end_to_end.test_doors import NOT_REACHED
    from tests.test_doors_of_control import ELSEWHERE

    names = {name for _, name in doors.guarded_functions(*ROOMS)}
    assert set(NOT_REACHED) | set(ELSEWHERE) <= names
    said = " ".join((*NOT_REACHED.values(), *ELSEWHERE.values()))
    files = re.findall(r"tests/[\w/]+\.py", said)
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize(
    ("source", "guarded"),
    [
        ("class P(asyncio.Protocol):\n    def data_received(self, data): ...", [False]),
        ("class P(asyncio.Protocol):\n    @guarded(_f)\n    def data_received(self, data): ...", [True]),
        ("class P:\n    def a(self):\n        loop.call_later(1, self.b)\n    def b(self): ...", [False]),
        (
            "class P:\n    def a(self):\n        loop.call_later(1, self.b)\n    @guarded(_f)\n    def b(self): ...",
            [True],
        ),
        ("class P:\n    def a(self):\n        loop.create_task(self.b(1))\n    async def b(self, x): ...", [False]),
        ("class P:\n    def a(self):\n        loop.call_soon(lambda: self.b())\n    def b(self): ...", [False]),
        (
            "class P:\n    def a(self):\n        loop.add_reader(1, functools.partial(self.b, 2))\n    def b(self): ...",
            [False],
        ),
        ("def a():\n    threading.Thread(target=b).start()\ndef b(): ...", [False]),
        ("def a():\n    loop.call_soon(unknown.thing)", [False]),
        ("class P:\n    def a(self):\n        self.owner.on_body(b'')", [False]),
        ("class P:\n    @guarded(_f)\n    def a(self):\n        self.owner.on_body(b'')", [True]),
        ("def a():\n    print(1)", []),
    ],
)
def test_a_new_callback_without_a_guard_is_found(source, guarded, tmp_path, monkeypatch):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "new.py").write_text(textwrap.dedent(source))
    monkeypatch.setattr(doors, "SRC", tmp_path)
    ast.parse(source)
    assert [door.is_guarded for door in doors.find("room")] == guarded


def test_a_rig_raises_inside_of_the_guard_and_is_gone_when_undone():
    from switchgear.core.guard import Guard
    from switchgear.spool.syncer import Syncer
    from switchgear.testing.faults import Said

    class Spool:
        synced = 0

        def sync(self):
            self.synced += 1

    def odd(*_):
        raise LookupError

    spool, guard = Spool(), Guard(Said())
    syncer = Syncer(spool, print, guard)
    for more, times in (({"before": odd}, 0), ({"after": odd}, 1)):
        rig = doors.Rig(("switchgear.spool.syncer", "Syncer._sync"), **more)
        syncer._sync()
        rig.undo()
        assert spool.synced == times
    syncer._sync()
    assert (spool.synced, guard.faults) == (2, 2)
