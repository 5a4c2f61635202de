"""The admin API at its door: who is let in, what a bad request is told, and that nothing of a fault gets out."""

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from switchgear.control import server
from switchgear.control.api import Api
from switchgear.core.errors import ConflictError, RefusedError, StaleError, UserError
from switchgear.store.database import StoreGoneError

HOST = "127.0.0.1:4101"
CLI = "c" * 64


class Door:
    """The application of one socket, asked without a socket."""

    def __init__(self, desk, cli_token=None):
        self.desk, self.reports, self.faults = desk, [], []
        self.app = server.build(
            Api(desk.services), cli_token, frozenset({HOST}), self.reports.append, self.faults.append
        )

    def ask(self, method, path, token=None, content=None, **headers):
        """Return the response."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"

        async def go():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, content=content, headers=headers)

        return self.desk.run(go)

    def token(self, name, role=None):
        """Make a token of a role, which bears its name unless another is said."""
        create = self.desk.services.access.create_token
        return self.desk.run(lambda: create(name if role else f"of-{name}", role or name, None, "test"))


def test_another_exporters_cursor_is_403_and_an_administrators_help_is_not(desk):
    door = Door(desk)
    mine, other, admin = (
        door.token(name, role) for name, role in (("a", "exporter"), ("b", "exporter"), ("c", "admin"))
    )
    assert door.ask("POST", "/api/v1/cursors", mine, b'{"name": "bills"}').status_code == 200
    for method, body in (("PUT", b'{"seen": 0, "seq": 0}'), ("DELETE", None)):
        refused = door.ask(method, "/api/v1/cursors/bills", other, body)
        assert refused.status_code == 403 and "token a's" in refused.json()["error"]
    assert door.ask("PUT", "/api/v1/cursors/bills", admin, b'{"seen": 0, "seq": 0}').status_code == 200
    assert door.ask("DELETE", "/api/v1/cursors/bills", mine).status_code == 200


@pytest.fixture
def console(desk):
    """What listens on TCP."""
    desk.run(desk.services.publication.publish)
    return Door(desk)


@pytest.fixture
def local(desk):
    """What listens on the Unix socket."""
    desk.run(desk.services.publication.publish)
    return Door(desk, CLI)


def test_a_request_without_a_token_is_refused_and_told_how_to_prove_itself(console):
    """RFC 9110, section 15.5.2: a 401 has a WWW-Authenticate field; the scheme is RFC 6750's."""
    for token in (None, "", "sgat-" + "0" * 64, "sk-sg-virtual"):
        answer = console.ask("GET", "/api/v1/keys", token)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_a_role_without_the_permission_is_refused_by_the_permissions_name(console):
    viewer = console.token("viewer")
    assert console.ask("GET", "/api/v1/models", viewer).status_code == 200
    refused = console.ask("GET", "/api/v1/keys", viewer)
    assert refused.status_code == 403 and "keys:read" in refused.json()["error"]


def test_only_an_owner_makes_tokens(console):
    body = b'{"name":"more","role":"owner"}'
    assert console.ask("POST", "/api/v1/tokens", console.token("admin"), body).status_code == 403
    assert console.ask("POST", "/api/v1/tokens", console.token("owner"), body).status_code == 200


def test_the_unix_socket_takes_the_cli_token_and_no_other(local):
    assert local.ask("GET", "/api/v1/keys", CLI).status_code == 200
    for token in (None, CLI[:-1], local.token("owner")):
        assert local.ask("GET", "/api/v1/keys", token).status_code == 401


def test_the_unix_socket_serves_no_page(local):
    assert local.ask("GET", "/", CLI).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}, 200),
    ],
)
def test_another_sites_page_or_name_gets_nothing(console, headers, status):
    """A rebound name keeps its own Host; a page of another site says so in Origin and Sec-Fetch-Site (W3C Fetch Metadata)."""
    owner = console.token("owner")
    assert console.ask("GET", "/api/v1/keys", owner, **headers).status_code == status
    assert console.ask("GET", "/", **headers).status_code == status


def test_a_request_with_two_lengths_is_refused_and_the_connection_ends(console):
    """RFC 9112, section 6.3."""
    answer = console.ask("POST", "/api/v1/setup", None, b"{}", transfer_encoding="chunked", content_length="2")
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


def test_an_unknown_path_is_404_and_a_known_one_names_its_methods(console):
    """RFC 9110, section 15.5.6: a 405 has an Allow field with the methods that the target has."""
    assert console.ask("GET", "/api/v1/nothing").status_code == 404
    answer = console.ask("PUT", "/api/v1/keys")
    assert answer.status_code == 405
    assert {name.strip() for name in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_every_answer_has_the_security_headers(console):
    for answer in (
        console.ask("GET", "/"),
        console.ask("GET", "/api/v1/keys"),
        console.ask("GET", "/api/v1/nothing"),
        console.ask("GET", "/metrics", console.token("viewer")),
    ):
        assert {name: answer.headers[name] for name in server.SECURITY_HEADERS} == server.SECURITY_HEADERS


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not valid"),
        (b"{", 400, "not valid"),
        (b'{"name":"x","surprise":1}', 400, "surprise"),
        (b'{"name":5}', 400, "name"),
        (b"\xff", 400, "not valid"),
        (b"[" * 100_000, 400, "not valid"),
        (b'{"name":"' + b"x" * server.BODY_BYTES_MAX + b'"}', 413, "bytes"),
    ],
)
def test_a_body_that_is_not_of_its_type_is_refused_with_the_reason(local, body, status, words):
    answer = local.ask("POST", "/api/v1/keys", CLI, body)
    assert answer.status_code == status and words in answer.json()["error"]


DEEP = b'{"put":{"context":{"endpoint":{"later":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}}"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/setup", b'{"token":"\xff"}'),
        ("POST", "/api/v1/tokens", b'{"name":"\xff","role":"owner"}'),
        ("PUT", "/api/v1/credentials", DEEP),
    ],
)
def test_a_body_that_is_no_utf8_or_too_deep_is_refused_and_is_no_fault(console, method, path, body):
    answer = console.ask(method, path, console.token("owner"), body)
    assert answer.status_code == 400 and "not valid" in answer.json()["error"]
    assert console.faults == []


@pytest.mark.parametrize("tag", ["x", "-1", '"1', "1" * 30, "٣"])
def test_a_version_that_is_no_etag_is_refused(local, tag):
    answer = local.ask("PATCH", "/api/v1/keys/x", CLI, b"{}", if_match=tag.encode())
    assert answer.status_code == 400


def test_a_change_of_an_older_version_is_412_and_the_etag_that_was_given_is_taken(local):
    """RFC 9110, section 13.1.1: the request is not performed when If-Match names another version."""
    assert local.ask("POST", "/api/v1/keys", CLI, b'{"name":"app"}').status_code == 200
    for name in (b"a", b"c"):
        assert local.ask("POST", "/api/v1/teams", CLI, b'{"name":"%b"}' % name).status_code == 200
    tag = local.ask("GET", "/api/v1/keys/app", CLI).headers["etag"]
    assert local.ask("PATCH", "/api/v1/keys/app", CLI, b'{"team":"a"}', if_match=tag).status_code == 200
    assert local.ask("PATCH", "/api/v1/keys/app", CLI, b'{"team":"b"}', if_match=tag).status_code == 412
    assert local.ask("GET", "/api/v1/keys/app", CLI).json()["team"] == "a"
    assert local.ask("PATCH", "/api/v1/keys/app", CLI, b'{"team":"c"}', if_match="*").status_code == 200


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (UserError("a name is wrong", "use another"), 400, "a name is wrong"),
        (ConflictError("it exists", ""), 409, "it exists"),
        (StaleError("it changed", ""), 412, "it changed"),
        (RefusedError("the vault says no"), 400, "the vault says no"),
        (OverflowError("int too large"), 400, "out of range"),
        (StoreGoneError("moved away"), 503, "store is not available"),
        (OperationalError("select", {}, Exception("disk I/O error")), 503, "store is not available"),
        (OSError(28, "No space left on device"), 503, "cannot be written"),
        (LookupError("a secret detail"), 500, "internal error"),
    ],
)
def test_an_error_of_a_handler_has_its_status_and_a_fault_shows_no_detail(local, monkeypatch, raised, status, words):
    async def handler():
        raise raised

    monkeypatch.setattr(local.desk.services.access, "admin_link", handler)
    answer = local.ask("POST", "/api/v1/admin/link", CLI)
    assert answer.status_code == status and words in answer.json()["error"]
    assert "secret detail" not in answer.text
    assert bool(local.faults) == (status == 500) and "secret detail" not in str(local.faults)
    assert bool(local.reports) == isinstance(raised, OSError)


def test_the_document_of_the_api_is_served_and_names_the_token(console):
    document = console.ask("GET", "/api/openapi.json", console.token("viewer")).json()
    assert document["openapi"] == "3.1.0" and document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
