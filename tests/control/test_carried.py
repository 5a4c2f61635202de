"""What is found of published stops that the store knows nothing of; the whole is tested in test_store_routes.py."""

import msgspec

from switchgear.control import carried
from switchgear.control.seen import Mark
from switchgear.store import objects
from switchgear.store.objects import KeyRow


def test_S5_only_what_the_store_says_otherwise_is_carried_and_a_newer_row_holds(desk):
    for name in ("older", "newer"):
        desk.run(lambda name=name: desk.services.keys.create(KeyRow(id="", name=name), "ann"))
    entries = [desk.publisher.find_key(name) for name in ("older", "newer")]
    revoked = [msgspec.structs.replace(entries[0], revoked=True, version=5)]
    revoked += [msgspec.structs.replace(entries[1], revoked=True, version=0)]
    desk.store.write(lambda c: objects.put_freeze(c, "team:here", None, "ann", 7)).result()
    marks = {objects.FREEZE: {"team:seen": Mark(5, b"9"), "team:here": Mark(5, b"null")}}
    found = desk.read(lambda c: carried.find(c, revoked, {"team:here": None, "team:gone": 3}, marks))
    assert found == carried.Carried({entries[0].id: 5}, {"team:gone": 3, "team:seen": 9})
    told = desk.store.write(lambda c: carried.write(c, found, 1)).result()
    assert told == ["the key 'older'", "the freeze of 'team:gone'", "the freeze of 'team:seen'"]
    assert {row.name: (row.version, row.revoked_ms) for row in desk.read(objects.keys)} == {
        "older": (5, 1),
        "newer": (1, None),
    }
    assert desk.read(objects.freezes) == {"team:here": None, "team:gone": 3, "team:seen": 9}
