import hashlib

import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI
from tests.control.test_models import FAST
from tests.replica.test_publisher import live_keys

from switchgear.config.compile import Compiled, FileKey, Process
from switchgear.control import versions
from switchgear.control.file_keys import KEYS_FEW
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects

FILE = Compiled(providers=(OPENAI,), models=(FAST,), source="/etc/x.yaml", digest="d1")


def keys(*names):
    return tuple(FileKey(name=n, sha256=hashlib.sha256(n.encode()).hexdigest()) for n in names)


def test_a_start_hands_credentials_to_the_vault_and_publishes(desk):
    desk.run(lambda: desk.services.config.load(FILE, [sealed()]))
    snapshot = desk.publisher.current()
    assert list(snapshot.table.models) == ["fast"]
    assert snapshot.table.providers["openai"].credentials == ("default",)
    assert desk.link.asked[:2] == ["bind_store", "put"]


def test_a_credential_that_the_vault_does_not_take_keeps_nothing_else_from_serving(desk):
    desk.link.box.put(sealed(version=9), 1)
    desk.run(lambda: desk.services.config.load(FILE, [sealed(version=3, secret=b"sk-another-0123456")]))
    [problem] = desk.services.config.refused_puts
    assert "does not take credential openai/default" in problem
    assert list(desk.publisher.current().table.models) == ["fast"]


def test_a_configuration_applied_after_the_supervisor_read_the_file_wins_at_controls_next_start(desk):
    config = desk.services.config
    newer = msgspec.structs.replace(FILE, models=(), digest="d2")
    desk.run(lambda: config.load(FILE, [], 1), lambda: config.apply(newer, [], "ann"))
    desk.run(lambda: config.load(FILE, [], desk.clock.wall_ms() - 1))
    assert desk.services.publication.compiled.digest == "d2"
    desk.run(lambda: config.load(FILE, [], desk.clock.wall_ms() + 1))
    assert desk.services.publication.compiled.digest == "d1", "the file was read after that"


def test_a_configuration_that_is_refused_changes_nothing(desk):
    config = desk.services.config
    desk.run(lambda: config.load(msgspec.structs.replace(FILE, models=()), []))
    desk.run(lambda: desk.services.models.add(FAST, "ann"))
    with pytest.raises(ConflictError, match="in the file and in the store"):
        desk.run(lambda: config.apply(FILE, [sealed()], "ann"))
    assert desk.services.publication.compiled.models == () and "put" not in desk.link.asked


def test_an_apply_is_audited_and_a_version_of_the_history(desk):
    config = desk.services.config
    desk.run(lambda: config.load(Compiled(), []), lambda: config.apply(FILE, [sealed()], "ann"))
    assert [(line.actor, line.action, line.subject) for line in desk.audit()] == [("ann", "config.apply", FILE.source)]
    assert [v.action for v in desk.read(versions.all_of)] == ["start", "config.apply"]


def test_keys_that_left_the_file_before_a_start_stay_and_are_a_problem(desk):
    config = desk.services.config
    names = [f"k{n}" for n in range(KEYS_FEW)]
    everything = msgspec.structs.replace(FILE, keys=keys(*names))
    desk.run(lambda: config.load(everything, []), lambda: config.load(FILE, []))
    assert "still hold" in config.problems[0] and "--drop-keys" in config.problems[0]
    with pytest.raises(UserError, match="would be revoked"):
        desk.run(lambda: config.apply(FILE, [], "ann"))
    desk.run(lambda: config.apply(FILE, [], "ann", drop_keys=True))
    assert config.problems == [] and live_keys(desk.publisher) == set()


def test_a_version_is_brought_back_and_keys_of_the_store_stay(desk):
    config = desk.services.config
    first = msgspec.structs.replace(FILE, keys=keys("a"))
    desk.run(lambda: config.load(first, [sealed()]), lambda: config.apply(FILE, [], "ann"))
    [old, _] = desk.read(versions.all_of)

    async def back():
        plan = await config.plan_rollback(old.state)
        await config.roll_back(plan, old.number, "ann")
        return plan

    plan = desk.run(back)
    assert plan.changes and desk.services.publication.compiled == first
    assert [row.name for row in desk.read(objects.keys) if row.revoked_ms is None] == ["a"]
    assert desk.read(versions.latest).action == "rollback to 1"


def test_settings_of_processes_hold_from_the_next_start_on(desk):
    config = desk.services.config
    desk.run(lambda: config.load(FILE, []))
    assert config.needs_restart() == []
    field = msgspec.structs.fields(Process)[0]
    assert config.needs_restart(FILE) == [], field.name


@pytest.mark.parametrize("demo", [False, True])
def test_a_gateway_without_a_file_goes_on_with_what_was_applied_and_its_keys_hold(desk, demo):
    config = desk.services.config
    applied = msgspec.structs.replace(FILE, keys=keys("a"))
    desk.run(lambda: config.load(Compiled(), []), lambda: config.apply(applied, [sealed()], "ann"))
    before = live_keys(desk.publisher)
    assert before
    nothing = Compiled(providers=(msgspec.structs.replace(OPENAI, name="demo"),)) if demo else Compiled()
    for _ in range(2):
        desk.run(lambda: config.load(nothing, [], desk.clock.wall_ms() + 1))
        assert live_keys(desk.publisher) == before
        assert list(desk.publisher.current().table.models) == ["fast"]
        assert ("demo" in desk.publisher.current().table.providers) == demo
    assert "applied last is in force, from /etc/x.yaml" in desk.reports[-1]


def test_what_was_brought_back_stays_over_a_start_without_a_file_too(desk):
    config = desk.services.config
    newer = msgspec.structs.replace(FILE, models=(), digest="d2", source="/etc/y.yaml")
    desk.run(lambda: config.load(Compiled(), []), lambda: config.apply(FILE, [sealed()], "ann"))
    desk.run(lambda: config.apply(newer, [], "ann"))
    target = next(v for v in desk.read(versions.all_of) if v.state.compiled.digest == "d1")

    async def back():
        await config.roll_back(await config.plan_rollback(target.state, ""), target.number, "ann")

    desk.run(back, lambda: config.load(Compiled(), [], desk.clock.wall_ms() + 1))
    assert list(desk.publisher.current().table.models) == ["fast"]
    desk.run(lambda: config.apply(Compiled(source="/dev/null"), [], "ann", drop_keys=True))
    desk.run(lambda: config.load(Compiled(), [], desk.clock.wall_ms() + 1))
    assert desk.publisher.current().table.models == {}


def test_a_start_with_a_file_takes_that_file_and_one_without_it_later_nothing_that_was_applied_before(desk):
    config = desk.services.config
    started = msgspec.structs.replace(FILE, models=(), digest="d2", source="/etc/y.yaml")
    desk.run(lambda: config.load(Compiled(), []), lambda: config.apply(FILE, [sealed()], "ann"))
    desk.run(lambda: config.load(started, [], desk.clock.wall_ms() + 1))
    assert desk.services.publication.compiled.digest == "d2"
    desk.run(lambda: config.load(Compiled(), [], desk.clock.wall_ms() + 1))
    assert desk.services.publication.compiled.providers == ()


def test_a_secret_that_is_not_there_is_told_until_the_vault_has_one(desk):
    config = desk.services.config
    said = {"openai/default": "credential openai/default: the environment variable 'K' is not set (x.yaml:3)"}
    desk.run(lambda: config.load(FILE, [], unset=said))
    assert config.without_secret == list(said.values())
    assert list(desk.publisher.current().table.models) == ["fast"]
    desk.run(lambda: desk.services.credentials.put(sealed(), None, "ann"))
    assert config.without_secret == []
