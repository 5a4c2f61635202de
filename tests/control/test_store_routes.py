import msgspec
import pytest
from sqlalchemy import select, update

from switchgear.control import store_routes
from switchgear.control.api import Api, Call
from switchgear.control.seen import Doubt
from switchgear.control.store_routes import StoreAccept
from switchgear.core.errors import ConflictError
from switchgear.store import objects, signing, tables
from switchgear.store.objects import KeyRow


def call(desk, body=None):
    return Call(Api(desk.services), "ann", {}, {}, body)


def accept_unsigned(desk):
    """Look, and accept what was shown."""
    shown = desk.run(lambda: store_routes.check_store(call(desk)))["unsigned"]
    return desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept(unsigned=True, shown=shown))))


def forge(desk):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="app", team="red"), "ann"))
    desk.run(lambda: desk.services.access.create_token("ci", "viewer", None, "ann"))
    desk.store.write(lambda c: c.execute(update(tables.keys).values(policy=b'{"team":"blue"}'))).result()
    desk.store.write(lambda c: c.execute(update(tables.tokens).values(role="owner"))).result()


FORGED = [Doubt("key", "app", "forged"), Doubt("token", "ci", "forged")]


def test_checking_tells_every_row_that_is_not_believed(desk):
    forge(desk)
    assert desk.run(lambda: store_routes.check_store(call(desk)))["doubts"] == FORGED


def test_S5_accepting_signs_what_others_wrote_only_where_that_is_said(desk):
    forge(desk)
    answer = desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept())))
    assert answer == {"signed": 0, "rows": [], "doubts": FORGED}
    assert desk.publisher.find_key("app").team == "red"
    answer = accept_unsigned(desk)
    rows = [{"kind": "key", "name": "app"}, {"kind": "token", "name": "ci"}]
    assert answer == {"signed": 2, "rows": rows, "doubts": []}
    assert desk.publisher.find_key("app").team == "blue"
    told = [line.detail for line in desk.audit() if line.action == "store.accept"]
    assert msgspec.json.decode(told[-1]) == {
        "unsigned": True,
        "signed": 2,
        "rows": [["key", "app"], ["token", "ci"]],
        "doubts": [["key", "app", "forged"], ["token", "ci", "forged"]],
    }


@pytest.mark.parametrize("what", ["another row", "another content", "nothing was shown"])
def test_S5_only_what_was_shown_is_signed(desk, what):
    forge(desk)
    shown = desk.run(lambda: store_routes.check_store(call(desk)))["unsigned"]
    if what == "another row":
        desk.store.write(lambda c: objects.put_token(c, b"e" * 32, "evil", "api", "viewer", None, 1)).result()
        here = tables.tokens.c.name == "evil"
        desk.store.write(lambda c: c.execute(update(tables.tokens).where(here).values(role="owner"))).result()
    elif what == "another content":
        desk.store.write(lambda c: c.execute(update(tables.keys).values(policy=b"{}"))).result()
    else:
        shown = ""
    with pytest.raises(ConflictError, match="the key 'app', the token 'ci'") as caught:
        desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept(unsigned=True, shown=shown))))
    assert ("the token 'evil'" in str(caught.value)) == (what == "another row")
    assert [row.kind for row in desk.read(lambda c: list(signing.unsigned(c)))][:2] == ["key", "token"]
    assert not [line for line in desk.audit() if line.action == "store.accept"]
    assert accept_unsigned(desk)["doubts"] == []


def test_only_owners_accept():
    permissions = {route.path: route.permission for route in store_routes.ROUTES}
    assert permissions == {"/api/v1/store": "config:read", "/api/v1/store/accept": "admin:write"}


def test_a_body_that_says_something_else_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"all": True}, StoreAccept)


def test_S5_a_freeze_whose_row_is_gone_stays_also_when_that_is_accepted(desk):
    services = desk.services
    desk.run(
        services.publication.publish,
        lambda: services.freezes.freeze("team:red", None, "ann"),
        services.publication.publish,
    )
    services.stops.frozen.clear()  # as after a restart
    desk.store.write(lambda c: c.execute(tables.freezes.delete())).result()
    assert desk.run(services.publication.look) == [Doubt(objects.FREEZE, "team:red", "missing")]
    assert desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept())))["doubts"] == []
    assert desk.publisher.current().freezes == {"team:red": None}
    assert desk.read(objects.freezes) == {"team:red": None}
    desk.run(lambda: services.freezes.unfreeze("team:red", "ann"))
    assert desk.publisher.current().freezes == {}


def test_S5_a_revoked_key_whose_older_row_is_accepted_stays_revoked(desk):
    services = desk.services
    desk.run(
        lambda: services.keys.create(KeyRow(id="", name="app"), "ann"), services.publication.publish,
    )  # fmt: skip
    older = desk.read(lambda c: c.execute(select(tables.keys)).one())._asdict()
    desk.run(lambda: services.keys.revoke("app", "ann"), services.publication.look)
    services.stops.revoked.clear()  # as after a restart
    desk.store.write(lambda c: c.execute(update(tables.keys).values(**older))).result()
    assert desk.run(services.publication.look) == [Doubt("key", "app", "older")]
    assert desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept())))["doubts"] == []
    assert desk.publisher.find_key("app").revoked
    assert desk.read(objects.keys)[0].revoked_ms is not None and not desk.read(objects.keys)[0].is_forged
    assert desk.reports[-1] == "stopped here, and now in the store, too: the key 'app'"


def test_S5_a_revoked_key_whose_row_was_taken_away_is_not_let_in_when_it_is_put_back(desk):
    services = desk.services
    desk.run(lambda: services.keys.create(KeyRow(id="", name="app"), "ann"), services.publication.publish)
    older = desk.read(lambda c: c.execute(select(tables.keys)).one())._asdict()
    desk.run(lambda: services.keys.revoke("app", "ann"))
    services.stops.revoked.clear()  # as after a restart
    desk.store.write(lambda c: c.execute(tables.keys.delete())).result()
    assert desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept())))["doubts"] == []
    desk.store.write(lambda c: c.execute(tables.keys.insert().values(**older))).result()
    assert desk.run(services.publication.look) == [Doubt("key", "app", "older")]
    assert desk.publisher.find_key("app").revoked


def test_S5_what_was_revoked_or_frozen_stays_so_also_when_forged_rows_are_signed(desk):
    services = desk.services
    desk.run(
        lambda: services.keys.create(KeyRow(id="", name="app"), "ann"),
        services.publication.publish,
        lambda: services.freezes.freeze("team:red", None, "ann"),
        lambda: services.keys.revoke("app", "ann"),
        services.publication.publish,
    )
    services.stops.frozen.clear()  # as after a restart
    services.stops.revoked.clear()
    desk.store.write(lambda c: c.execute(update(tables.keys).values(revoked_ms=None, version=99))).result()
    desk.store.write(lambda c: c.execute(update(tables.freezes).values(is_lifted=True))).result()
    assert accept_unsigned(desk)["doubts"] == []
    assert desk.publisher.find_key("app").revoked and desk.read(objects.keys)[0].revoked_ms is not None
    assert desk.publisher.current().freezes == {"team:red": None} == desk.read(objects.freezes)
