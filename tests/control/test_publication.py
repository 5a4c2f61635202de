import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI
from tests.control.test_models import FAST

from switchgear.config.compile import Compiled
from switchgear.control.publication import KEYS_FEW
from switchgear.core.errors import UserError
from switchgear.store import objects
from switchgear.store.objects import KeyRow


def test_file_and_store_are_published_as_one(desk):
    desk.services.publication.compiled = Compiled(providers=(OPENAI,))
    desk.run(
        lambda: desk.services.credentials.put(sealed(), None, "ann"), lambda: desk.services.models.add(FAST, "ann")
    )
    table = desk.publisher.current().table
    assert (list(table.providers), list(table.models)) == (["openai"], ["fast"])


@pytest.mark.parametrize("kind", ["provider", "model", "price"])
def test_a_damaged_object_is_named_once_and_the_others_are_published(desk, kind):
    publication = desk.services.publication
    publication.compiled = Compiled(providers=(OPENAI,))
    desk.store.write(lambda c: objects.put_object(c, kind, "broken", b"\xff{", 1)).result()
    desk.run(publication.publish, publication.publish)
    assert publication.damaged == {f"the {kind} 'broken' in the store is damaged and left out"}
    assert desk.reports == [f"the {kind} 'broken' in the store is damaged and left out"]
    assert list(desk.publisher.current().table.providers) == ["openai"]
    desk.store.write(lambda c: objects.remove_object(c, kind, "broken")).result()


def test_every_publication_has_an_epoch_of_its_own(desk):
    desk.run(desk.services.publication.publish)
    first = desk.publisher.current().epoch
    desk.run(desk.services.publication.publish)
    assert desk.publisher.current().epoch == first + 1


def test_a_store_that_lost_over_half_of_the_keys_does_not_take_them_from_the_replica(desk):
    names = [f"k{n}" for n in range(KEYS_FEW)]
    desk.run(*(lambda n=n: desk.services.keys.create(KeyRow(id="", name=n), "ann") for n in names))
    rows = desk.read(objects.keys)
    lost = {row.id for row in rows[: KEYS_FEW // 2 + 1]}

    async def read(function):
        found = desk.store.read(function).result()
        return [row for row in found if row.id not in lost]

    desk.control.read = read
    with pytest.raises(UserError, match="refusing to drop them"):
        desk.run(desk.services.publication.publish_keys)
    assert desk.publisher.live_keys(0) == {row.id for row in rows}


def test_a_key_that_was_revoked_while_all_were_published_stays_revoked(desk):
    services = desk.services
    row, _ = desk.run(lambda: services.keys.create(KeyRow(id="", name="app"), "ann"))
    services.stops.revoked.add(row.id)
    desk.run(services.publication.publish_keys)
    assert desk.publisher.find_key("app").revoked


def test_without_a_snapshot_nothing_can_be_frozen_in_it(desk):
    assert desk.run(desk.services.publication.publish_freezes) is False
