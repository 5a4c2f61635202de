from typing import get_args

from switchgear.control.api import PERMISSIONS, Permission
from switchgear.control.routes import ROUTES


def test_each_method_and_path_stands_once():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES) >= 40


def test_every_permission_is_asked_for_by_a_route_and_held_by_a_role():
    asked = {route.permission for route in ROUTES}
    assert asked == set(get_args(Permission))
    assert asked - {"public"} == PERMISSIONS["owner"] == set().union(*PERMISSIONS.values())


def test_only_an_owner_makes_further_ways_in_and_believes_foreign_rows():
    ways_in = {
        ("POST", "/api/v1/tokens"),
        ("DELETE", "/api/v1/tokens/{name}"),
        ("POST", "/api/v1/admin/link"),
        ("POST", "/api/v1/store/accept"),
    }
    assert {(route.method, route.path) for route in ROUTES if route.permission == "admin:write"} == ways_in
    assert [role for role, granted in PERMISSIONS.items() if "admin:write" in granted] == ["owner"]


def test_the_one_time_link_is_the_only_public_route():
    assert [(route.method, route.path) for route in ROUTES if route.permission == "public"] == [
        ("POST", "/api/v1/setup")
    ]


def test_a_reading_role_has_no_permission_to_write():
    for role in ("billing-reader", "auditor", "viewer"):
        assert not [name for name in PERMISSIONS[role] if name.endswith(":write")]


def test_every_route_has_a_description():
    assert [route.path for route in ROUTES if not (route.handler.__doc__ or "").strip()] == []
