"""The life of a key; stopping one is never lost to what others change at the same time."""

import hashlib

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DatabaseError
from tests.replica.test_publisher import live_keys

from switchgear.core.errors import ConflictError, StaleError, UserError
from switchgear.store import objects, tables
from switchgear.store.objects import KeyRow


def stored(desk, name):
    [row] = desk.read(objects.keys, name)
    return row


def create(desk, name="app"):
    return lambda: desk.services.keys.create(KeyRow(id="", name=name), "ann")


class Meanwhile:
    """Does something at the moment when a key was published and is not stored yet."""

    def __init__(self, publication, do):
        self._publish, self._do = publication.publish_key, do
        publication.publish_key = self

    async def __call__(self, row):
        await self._publish(row)
        do, self._do = self._do, None
        if do is not None:
            await do()


@pytest.mark.parametrize("other", ["a recovery", "an update", "a rotation", "another revocation"])
def test_a_revocation_wins_over_what_happens_to_the_key_meanwhile(desk, other):
    keys = desk.services.keys
    does = {
        "a recovery": desk.services.stops.reconcile,
        "an update": lambda: keys.change("app", {"team": "red"}, "bob"),
        "a rotation": lambda: keys.rotate("app", 0, False, "bob"),
        "another revocation": lambda: keys.revoke("app", "bob"),
    }

    async def scenario():
        await create(desk)()
        Meanwhile(desk.services.publication, does[other])
        return await keys.revoke("app", "ann")

    assert desk.run(scenario).revoked_ms is not None
    kept = stored(desk, "app")
    assert kept.revoked_ms is not None
    assert (kept.team == "red") is (other == "an update"), "what was changed before stays"
    assert desk.publisher.find_key("app").revoked
    assert live_keys(desk.publisher) == set()


def test_an_update_that_read_the_key_before_it_was_revoked_does_not_bring_it_back(desk):
    keys = desk.services.keys

    async def scenario():
        row, _ = await create(desk)()
        await keys.revoke("app", "ann")
        late = msgspec.structs.replace(row, version=2, team="red")
        with pytest.raises((ConflictError, UserError)):
            await keys._store_key(late, row, "bob", "key.update", [])
        await desk.services.publication.publish_key(late)

    desk.run(scenario)
    assert stored(desk, "app").revoked_ms is not None
    assert desk.publisher.find_key("app").revoked


def test_a_new_key_is_stored_published_and_audited_and_its_token_is_not_stored(desk):
    row, token = desk.run(create(desk))
    assert stored(desk, "app") == row
    assert desk.publisher.find_key("app").id == row.id
    assert [(line.actor, line.action, line.subject) for line in desk.audit()] == [("ann", "key.create", "app")]
    assert token.encode() not in (desk.folder / "store.sqlite").read_bytes()


def test_an_imported_key_is_found_by_its_digest_and_keeps_what_it_spent(desk):
    digest = hashlib.sha256(b"sk-theirs").digest()
    keys = desk.services.keys
    row = desk.run(lambda: keys.take_over(KeyRow(id="", name="old"), digest, 5, "ann"))
    assert desk.run(lambda: keys.spent(row)) == (5, 0)
    with pytest.raises(ConflictError, match="known here already, as 'old'"):
        desk.run(lambda: keys.take_over(KeyRow(id="", name="other"), digest, 0, "ann"))


def test_a_key_is_found_by_name_by_id_and_by_an_unambiguous_beginning(desk):
    row, _ = desk.run(create(desk))
    for name in ("app", row.id, row.id[:6]):
        assert desk.run(lambda name=name: desk.services.keys.find(name)).name == "app"
    with pytest.raises(UserError, match="there is no key"):
        desk.run(lambda: desk.services.keys.find("apq"))


def test_a_change_of_a_version_that_is_gone_is_stale(desk):
    keys = desk.services.keys
    desk.run(create(desk), lambda: keys.change("app", {"team": "red"}, "ann", 1))
    with pytest.raises(StaleError):
        desk.run(lambda: keys.change("app", {"team": "blue"}, "ann", 1))
    assert (stored(desk, "app").team, desk.publisher.find_key("app").team) == ("red", "red")


def test_a_rotated_key_has_two_secrets_until_the_overlap_ends(desk):
    keys = desk.services.keys
    desk.run(create(desk), lambda: keys.rotate("app", 60_000, False, "ann"))
    assert {s.not_after_ms for s in stored(desk, "app").secrets} == {None, desk.clock.wall_ms() + 60_000}
    with pytest.raises(ConflictError, match="rotated already"):
        desk.run(lambda: keys.rotate("app", 60_000, False, "ann"))
    desk.run(lambda: keys.rotate("app", 0, True, "ann"))
    assert len(stored(desk, "app").secrets) == 1


@pytest.mark.parametrize("verb", ["change", "rotate"])
def test_a_revoked_key_cannot_be_changed(desk, verb):
    keys = desk.services.keys
    arguments = {"change": ({"team": "x"}, "ann"), "rotate": (0, False, "ann")}
    desk.run(create(desk), lambda: keys.revoke("app", "ann"))
    with pytest.raises(UserError, match="is revoked"):
        desk.run(lambda: getattr(keys, verb)("app", *arguments[verb]))


def test_a_key_is_revoked_while_the_store_is_away_and_the_store_is_told_later(desk, monkeypatch):
    keys, stops = desk.services.keys, desk.services.stops
    desk.run(create(desk))

    async def away(name):
        raise DatabaseError("select", None, Exception("disk I/O error"))

    monkeypatch.setattr(keys, "find", away)
    assert desk.run(lambda: keys.revoke("app", "ann")).revoked_ms is not None
    assert desk.publisher.find_key("app").revoked and stops.owes
    assert stored(desk, "app").revoked_ms is None
    desk.run(stops.reconcile)
    assert stored(desk, "app").revoked_ms is not None
    with pytest.raises(UserError, match="there is no key"):
        desk.run(lambda: keys.revoke("nobody", "ann"))


def forge(desk, **values):
    desk.store.write(lambda c: c.execute(update(tables.keys).values(**values))).result()


def test_S5_a_key_that_somebody_else_changed_is_not_changed_again_and_can_be_revoked(desk):
    keys = desk.services.keys
    desk.run(lambda: keys.create(KeyRow(id="", name="app", team="red"), "ann"))
    forge(desk, policy=b'{"team":"blue"}', version=2**62, source="file")
    for change in (lambda: keys.change("app", {"user": "eve"}, "ann"), lambda: keys.rotate("app", 0, True, "ann")):
        with pytest.raises(UserError, match="was not written by this gateway"):
            desk.run(change)
    desk.run(lambda: keys.revoke("app", "ann"), desk.services.publication.look)
    (row,) = desk.read(objects.keys)
    assert not row.is_forged and row.revoked_ms is not None and (row.team, row.version) == ("red", 2)
    assert desk.publisher.find_key("app").revoked and desk.services.publication.doubts == []


@pytest.mark.parametrize("values", [{"name": "x"}, None])
def test_S5_a_key_whose_row_lost_its_name_or_is_gone_can_be_revoked(desk, values):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="app"), "ann"))
    if values is not None:
        forge(desk, **values)
    else:
        desk.store.write(lambda c: c.execute(tables.keys.delete())).result()
    desk.run(lambda: desk.services.keys.revoke("app", "ann"), desk.services.publication.look)
    assert desk.publisher.find_key("app").revoked


def test_S5_a_key_that_is_older_in_the_store_is_not_changed_and_is_revoked_above_what_was_published(desk):
    keys = desk.services.keys
    desk.run(lambda: keys.create(KeyRow(id="", name="app"), "ann"))
    columns = desk.read(lambda c: c.execute(select(tables.keys)).one())._asdict()
    desk.run(lambda: keys.change("app", {"team": "red"}, "ann"), lambda: keys.change("app", {"team": "green"}, "ann"))
    forge(desk, **columns)
    with pytest.raises(UserError, match="is older than what was published"):
        desk.run(lambda: keys.change("app", {"user": "eve"}, "ann"))
    desk.run(lambda: keys.revoke("app", "ann"))
    (row,) = desk.read(objects.keys)
    assert row.revoked_ms is not None and row.version == 4 == desk.publisher.find_key("app").version


def test_S5_a_forged_key_that_was_never_published_is_revoked_as_nobodys(desk):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="app"), "ann"))
    forge(desk, id="evilevilevil")
    desk.run(lambda: desk.services.keys.revoke("evilevilevil", "ann"))
    (row,) = desk.read(objects.keys)
    assert row.models == [] and row.secrets == () and row.revoked_ms is not None
