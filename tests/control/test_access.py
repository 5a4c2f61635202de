import pytest

from switchgear.control import access
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects


def test_a_link_becomes_one_session_and_only_once(desk):
    use = desk.services.access.use_link

    async def scenario():
        link = await desk.services.access.admin_link()
        return await use(link), await use(link)

    session, again = desk.run(scenario)
    assert again is None and session.startswith(access.PREFIX)
    assert desk.run(lambda: desk.services.access.role_of(session)) == (objects.SESSION, "owner")


def test_a_link_that_is_too_old_is_worth_nothing(desk):
    link = desk.run(desk.services.access.admin_link)
    desk.clock.advance(access.LINK_MS / 1000 + 1)
    assert desk.run(lambda: desk.services.access.use_link(link)) is None
    assert desk.run(lambda: desk.services.access.use_link("never made")) is None


def test_a_session_ends_after_its_hours(desk):
    async def scenario():
        return await desk.services.access.use_link(await desk.services.access.admin_link())

    session = desk.run(scenario)
    desk.clock.advance(access.SESSION_MS / 1000 + 1)
    assert desk.run(lambda: desk.services.access.role_of(session)) is None


def test_a_token_has_its_role_until_it_is_revoked(desk):
    tokens = desk.services.access
    token = desk.run(lambda: tokens.create_token("ci", "viewer", None, "ann"))
    assert desk.run(lambda: tokens.role_of(token)) == ("ci", "viewer")
    with pytest.raises(ConflictError, match="exists already"):
        desk.run(lambda: tokens.create_token("ci", "viewer", None, "ann"))
    desk.run(lambda: tokens.revoke_token("ci", "ann"))
    assert desk.run(lambda: tokens.role_of(token)) is None
    assert [line.action for line in desk.audit()] == ["token.create", "token.revoke"]


@pytest.mark.parametrize("name", ["nobody", objects.SESSION])
def test_revoking_an_unknown_token_is_refused(desk, name):
    with pytest.raises(UserError, match="there is no token"):
        desk.run(lambda: desk.services.access.revoke_token(name, "ann"))


@pytest.mark.parametrize("token", ["", "sgat-", "sgat-" + "0" * 64, "a-key-of-a-client"])
def test_a_text_that_is_no_token_has_no_role(desk, token):
    assert desk.run(lambda: desk.services.access.role_of(token)) is None
