import pytest
from tests.control.conftest import sealed

from switchgear.control import handle
from switchgear.control.handle import VaultRefusedError
from switchgear.core.errors import UserError
from switchgear.store import objects
from switchgear.vault import verbs


def test_a_verb_is_repeated_while_the_vault_is_away(desk):
    desk.link.failures = [ConnectionError("gone"), TimeoutError()]
    assert desk.run(lambda: desk.control.ask_vault(verbs.LIST, None)) == []
    assert desk.reports == [
        "the vault did not do 'list': gone; asking again",
        "the vault did not do 'list': no answer within 5 s; asking again",
    ]


def test_a_vault_that_stays_away_is_said_after_three_calls(desk):
    desk.link.failures = [ConnectionError("gone")] * 3
    with pytest.raises(UserError, match="does not answer"):
        desk.run(lambda: desk.control.ask_vault(verbs.LIST, None))
    assert len(desk.link.asked) == len(handle.VAULT_PATIENCE_S)


def test_a_refusal_of_the_vault_is_not_asked_again(desk):
    desk.run(lambda: desk.control.ask_vault(verbs.PUT, sealed(version=5)))
    with pytest.raises(VaultRefusedError, match="not above 5"):
        desk.run(lambda: desk.control.ask_vault(verbs.PUT, sealed(version=4, secret=b"sk-another-0123456")))
    assert len(desk.link.asked) == 2


def test_an_audit_line_has_who_what_and_when(desk):
    desk.run(lambda: desk.control.audit("ann", "key.create", "app", {"id": "k"}))
    [line] = desk.audit()
    assert (line.actor, line.action, line.subject) == ("ann", "key.create", "app")
    assert line.time_ms == desk.clock.wall_ms()


def test_reads_and_writes_see_one_store(desk):
    async def scenario():
        await desk.control.write(lambda c: objects.put_freeze(c, "all", None, "ann", 1))
        await desk.control.write_urgently(lambda c: objects.put_freeze(c, "key:a", 9, "ann", 1))
        return await desk.control.read(objects.freezes), await desk.control.read_urgently(objects.freezes)

    first, second = desk.run(scenario)
    assert first == second == {"all": None, "key:a": 9}
