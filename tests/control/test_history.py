import msgspec
from tests.control.test_credentials import OPENAI

from switchgear.control import history, versions
from switchgear.store import objects


def actions(desk):
    return [(v.actor, v.action) for v in desk.read(versions.all_of)]


async def written(desk):
    """Wait until the version that is due was written, or failed."""
    await desk.services.history._writing


def add(desk, kind, name, spec):
    return desk.control.write(lambda c: objects.put_object(c, kind, name, spec, 1))


def test_many_changes_in_a_row_are_one_version(desk, monkeypatch):
    monkeypatch.setattr(history, "REMEMBER_S", 0.05)

    async def scenario():
        for number in range(3):
            desk.services.history.remember("ann", f"change {number}")
        await add(desk, "provider", "openai", msgspec.json.encode(OPENAI))
        await written(desk)

    desk.run(scenario)
    assert actions(desk) == [("ann", "change 2")]


def test_a_due_version_is_written_once_when_asked_for(desk):
    async def scenario():
        desk.services.history.remember("ann", "provider.add")
        await desk.services.history.remember_now()
        await desk.services.history.remember_now()

    desk.run(scenario)
    assert actions(desk) == [("ann", "provider.add")]


def test_a_version_that_cannot_be_written_is_reported_and_the_next_one_is_written(desk, monkeypatch):
    monkeypatch.setattr(history, "REMEMBER_S", 0.01)
    real, broken = desk.control.write, []

    async def write(function):
        if not broken:
            broken.append(1)
            raise ValueError("no store")
        return await real(function)

    desk.control.write = write

    async def scenario():
        desk.services.history.remember("ann", "one")
        await written(desk)
        desk.services.history.remember("ann", "two")
        await written(desk)

    desk.run(scenario)
    assert desk.reports[0].startswith("the configuration's history lacks a version: ValueError in ")
    assert actions(desk) == [("ann", "two")]
