"""What the routes of the configuration refuse and show. The whole of them: tests/end_to_end/test_config_*."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from tests.control.test_versions import compiled, remember, state, store

from switchgear.control import config_routes
from switchgear.control.config_routes import ConfigApply, Rollback
from switchgear.core.errors import UserError

__all__ = ["store"]


class Stand:
    """Reads a store, and keeps what it was told to apply: control, publication, history and config in one."""

    def __init__(self, store):
        self._store = store
        self.applied = []
        self.compiled = compiled("models: {a: openai/x}")
        self.status = Path("no such file")

    async def read(self, question):
        return self._store.read(question).result()

    async def remember_now(self):
        pass

    async def apply(self, made, puts, actor, *, drop_keys):
        self.applied.append(made)

    def needs_restart(self, made=None):
        return []


def ask(route, stand, body=None):
    services = SimpleNamespace(publication=stand, history=stand, config=stand, paths=stand)
    return asyncio.run(route(SimpleNamespace(services=services, control=stand, actor="somebody", body=body, query={})))


def test_a_configuration_that_no_compiler_made_is_not_applied(store):
    stand = Stand(store)
    odd = msgspec.structs.replace(stand.compiled, models=stand.compiled.models * 2)
    with pytest.raises(UserError, match="a name stands twice"):
        ask(config_routes.apply_config, stand, ConfigApply(compiled=odd, puts=[]))
    assert not stand.applied


def test_a_good_one_is_applied_and_answered_with_its_digest(store):
    stand = Stand(store)
    found = ask(config_routes.apply_config, stand, ConfigApply(compiled=stand.compiled, puts=[]))
    assert (stand.applied, found["digest"]) == ([stand.compiled], stand.compiled.digest)


@pytest.mark.parametrize(
    ("began", "said"),
    [
        (["/x/other.yaml", ""], "was started with /x/other.yaml"),
        (["", ""], None),
        (["/x/mine.yaml", ""], None),
    ],
)
def test_applying_a_file_that_the_gateway_was_not_started_with_is_warned_of(store, tmp_path, began, said):
    stand = Stand(store)
    stand.status = tmp_path / "status"
    stand.status.write_bytes(msgspec.json.encode({"config_on_disk": began}))
    mine = msgspec.structs.replace(stand.compiled, source="/x/mine.yaml")
    warned = ask(config_routes.apply_config, stand, ConfigApply(compiled=mine, puts=[]))["undone_at_start"]
    assert warned is None if said is None else warned.endswith(said) and "--config /x/mine.yaml undoes" in warned


def test_the_history_is_newest_first(store):
    remember(store, state("models: {a: openai/x}"), 1_000)
    remember(store, state("models: {a: openai/y}"), 2_000)
    assert [one["number"] for one in ask(config_routes.history, Stand(store))["versions"]] == [2, 1]


@pytest.mark.parametrize("version", ["7", "previous", "", "1; drop"])
def test_a_version_that_is_not_there_is_not_brought_back(store, version):
    remember(store, state("models: {a: openai/x}"))
    with pytest.raises(UserError, match="there is no version"):
        ask(config_routes.rollback, Stand(store), Rollback(version=version))


def test_reading_and_writing_need_their_own_permissions():
    assert {(route.method, route.permission) for route in config_routes.ROUTES} == {
        ("GET", "config:read"),
        ("PUT", "config:write"),
        ("POST", "config:write"),
    }
