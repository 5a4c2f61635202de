import pytest
from sqlalchemy import insert, select

from switchgear.control import access
from switchgear.control.seen import Doubt, Seen
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects, tables


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


def tokens_of(desk):
    return [row._asdict() for row in desk.read(lambda connection: connection.execute(select(tables.tokens)).all())]


def put_back(desk, rows):
    desk.store.write(lambda connection: connection.execute(insert(tables.tokens), rows)).result()


def restart(desk):
    desk.services.access._seen = seen = Seen(desk.folder / "seen")
    seen.load()


@pytest.mark.parametrize("expires_ms", [None, 1 << 50])
def test_S5_a_revoked_token_whose_row_is_put_back_holds_no_more(desk, expires_ms):
    tokens = desk.services.access
    token = desk.run(lambda: tokens.create_token("ci", "admin", expires_ms, "ann"))
    rows = tokens_of(desk)
    desk.run(lambda: tokens.revoke_token("ci", "ann"))
    put_back(desk, rows)
    assert desk.run(lambda: tokens.role_of(token)) is None
    assert Doubt("token", "ci", "older") in desk.run(desk.services.publication.look)
    assert "'ci'" in desk.reports[-1]
    restart(desk)
    assert desk.run(lambda: tokens.role_of(token)) is None
    desk.run(lambda: tokens.revoke_token("ci", "ann"))
    new = desk.run(lambda: tokens.create_token("ci", "viewer", None, "ann"))
    assert desk.run(lambda: tokens.role_of(new)) == ("ci", "viewer")


def test_S5_a_link_that_was_used_makes_no_second_session_when_its_row_is_put_back(desk):
    link = desk.run(desk.services.access.admin_link)
    rows = tokens_of(desk)
    assert desk.run(lambda: desk.services.access.use_link(link)) is not None
    put_back(desk, rows)
    assert desk.run(lambda: desk.services.access.use_link(link)) is None


def test_S5_marks_of_rows_and_ended_tokens_are_kept_beside_each_other(desk):
    tokens, seen = desk.services.access, desk.services.seen
    token = desk.run(lambda: tokens.create_token("ci", "admin", None, "ann"))
    desk.run(desk.services.publication.publish)
    desk.run(lambda: tokens.revoke_token("ci", "ann"), desk.services.publication.accept)
    restart(desk)
    assert tokens._seen.marks == seen.marks and desk.run(lambda: tokens.role_of(token)) is None


def test_tokens_that_would_have_ended_by_now_are_remembered_no_longer(desk):
    for _ in range(3):
        link = desk.run(desk.services.access.admin_link)
        desk.run(lambda text=link: desk.services.access.use_link(text))
        desk.clock.advance(access.LINK_MS / 1000 + 1)
    assert len(desk.services.seen._ended) == 1


def test_a_token_is_revoked_on_a_full_disk_as_well(desk):
    tokens = desk.services.access
    token = desk.run(lambda: tokens.create_token("ci", "admin", None, "ann"))
    rows = tokens_of(desk)
    desk.services.seen._path = desk.folder / "away" / "seen"
    desk.run(lambda: tokens.revoke_token("ci", "ann"))
    put_back(desk, rows)
    assert desk.run(lambda: tokens.role_of(token)) is None and "could not be kept" in desk.reports[-1]
