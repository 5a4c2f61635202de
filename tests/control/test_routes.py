from switchgear.control.api import PERMISSIONS
from switchgear.control.routes import ROUTES


def test_each_method_and_path_stands_once():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES) >= 40


def test_every_permission_belongs_to_a_role_or_to_owners_alone():
    held = set().union(*(names for role, names in PERMISSIONS.items() if role != "owner"))
    assert {route.permission for route in ROUTES} - held == {"admin:write", "public"}
    assert held <= {route.permission for route in ROUTES}, "a permission that no route asks for"


def test_what_needs_no_sign_in_is_the_one_time_link():
    assert [(route.method, route.path) for route in ROUTES if route.permission == "public"] == [
        ("POST", "/api/v1/setup")
    ]


def test_readers_cannot_write():
    for role in ("billing-reader", "auditor", "viewer"):
        assert not [name for name in PERMISSIONS[role] if name.endswith(":write")]


def test_every_route_describes_itself():
    assert [route.path for route in ROUTES if not (route.handler.__doc__ or "").strip()] == []
