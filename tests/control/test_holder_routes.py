"""Routes of teams, users, projects and profiles."""

import msgspec
import pytest
from tests.control.test_server import CLI, Door

from switchgear.control import answers, holder_routes
from switchgear.core.organisation import KINDS


@pytest.fixture
def local(desk):
    desk.run(desk.services.publication.publish)
    return Door(desk, CLI)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_answered_is_of_the_type_that_is_told(local, kind):
    plural, wanted = KINDS[kind].plural, answers.HOLDER[kind]
    made = local.ask("POST", f"/api/v1/{plural}", CLI, b'{"name":"a b/c","rpm":5,"expires":"2097-01-01"}')
    assert made.status_code == 200, made.text
    assert msgspec.convert(made.json(), wanted).rpm == 5 and made.json()["expires_ms"] > 0
    assert local.ask("GET", f"/api/v1/{plural}/a%20b%2Fc", CLI).json() == made.json()
    listed = msgspec.convert(local.ask("GET", f"/api/v1/{plural}", CLI).json(), answers.HOLDERS[kind])
    assert "a b/c" in [one.name for one in getattr(listed, plural)]
    assert local.ask("PATCH", f"/api/v1/{plural}/a%20b%2Fc", CLI, b'{"rpm":6,"version":7}').status_code == 412
    assert local.ask("PATCH", f"/api/v1/{plural}/a%20b%2Fc", CLI, b'{"rpm":null}').json()["rpm"] is None
    assert local.ask("DELETE", f"/api/v1/{plural}/a%20b%2Fc", CLI).json() == {
        "name": "a b/c",
        "moved": [],
        "moved_holders": [],
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("teams", b'{"name":"a","user":"b"}'),
        ("users", b'{"name":"a","parent":"b"}'),
        ("profiles", b'{"name":"a","pot":"everybody"}'),
        ("projects", b'{"name":"a","team":"nobody"}'),
        ("teams", b'{"name":"a","limits":["many"]}'),
        ("teams", b'{"name":"a","budget":"lots"}'),
        ("teams", b'{"name":""}'),
        ("teams", b'{"rpm":5}'),
    ],
)
def test_a_body_that_does_not_fit_is_refused_and_nothing_is_made(local, path, body):
    before = local.ask("GET", f"/api/v1/{path}", CLI).json()
    assert local.ask("POST", f"/api/v1/{path}", CLI, body).status_code == 400
    assert local.ask("GET", f"/api/v1/{path}", CLI).json() == before


def test_reading_and_writing_need_their_own_permissions():
    assert {(route.method, route.permission) for route in holder_routes.ROUTES} == {
        ("GET", "organisation:read"),
        ("POST", "organisation:write"),
        ("PATCH", "organisation:write"),
        ("DELETE", "organisation:write"),
    }
