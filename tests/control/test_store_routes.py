import msgspec
import pytest
from sqlalchemy import update

from switchgear.control import store_routes
from switchgear.control.api import Api, Call
from switchgear.control.seen import Doubt
from switchgear.control.store_routes import StoreAccept
from switchgear.store import objects, tables
from switchgear.store.objects import KeyRow


def call(desk, body=None):
    return Call(Api(desk.services), "ann", {}, {}, body)


def forge(desk):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="app", team="red"), "ann"))
    desk.run(lambda: desk.services.access.create_token("ci", "viewer", None, "ann"))
    desk.store.write(lambda c: c.execute(update(tables.keys).values(policy=b'{"team":"blue"}'))).result()
    desk.store.write(lambda c: c.execute(update(tables.tokens).values(role="owner"))).result()


FORGED = [Doubt("key", "app", "forged"), Doubt("token", "ci", "forged")]


def test_checking_tells_every_row_that_is_not_believed(desk):
    forge(desk)
    assert desk.run(lambda: store_routes.check_store(call(desk))) == {"doubts": FORGED}


def test_S5_accepting_signs_what_others_wrote_only_where_that_is_said(desk):
    forge(desk)
    answer = desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept())))
    assert answer == {"signed": 0, "doubts": FORGED}
    assert desk.publisher.find_key("app").team == "red"
    answer = desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept(unsigned=True))))
    assert answer == {"signed": 2, "doubts": []}
    assert desk.publisher.find_key("app").team == "blue"
    told = [line.detail for line in desk.audit() if line.action == "store.accept"]
    assert msgspec.json.decode(told[-1]) == {
        "unsigned": True,
        "signed": 2,
        "doubts": [["key", "app", "forged"], ["token", "ci", "forged"]],
    }


def test_only_owners_accept():
    permissions = {route.path: route.permission for route in store_routes.ROUTES}
    assert permissions == {"/api/v1/store": "config:read", "/api/v1/store/accept": "admin:write"}


def test_a_body_that_says_something_else_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"all": True}, StoreAccept)


def test_a_freeze_that_is_accepted_as_gone_holds_no_more(desk):
    desk.run(
        desk.services.publication.publish,
        lambda: desk.services.freezes.freeze("team:red", None, "ann"),
        desk.services.publication.publish,
    )
    desk.services.stops.frozen.clear()  # as after a restart
    desk.store.write(lambda c: c.execute(tables.freezes.delete())).result()
    assert desk.run(desk.services.publication.look) == [Doubt(objects.FREEZE, "team:red", "missing")]
    assert desk.run(lambda: store_routes.accept_store(call(desk, StoreAccept()))) == {"signed": 0, "doubts": []}
    assert desk.publisher.current().freezes == {}
