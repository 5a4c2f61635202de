"""Destinations open for the courier's key only, and their requests say what they mean."""

import msgspec
import pytest
from tests.courier.rig import KEYS, SECRET, destination

from switchgear.core.errors import RefusedError
from switchgear.core.secret import Secret
from switchgear.courier.destinations import Destinations, ports
from switchgear.courier.verbs import Notice, Request
from switchgear.vault.kek import KeyPair


def made(**more):
    return Destinations([destination(80, **more)], KEYS).find("there", more.get("purpose", "request"))


def request(**more):
    return Request(**{"destination": "there", "method": "POST", "path": "/v1/x", **more})


def test_a_request_has_the_sealed_place_and_the_secret():
    place = made(path_prefix="/api", query="version=2")
    sent = place.encode(request(content_type="application/json", body=b"{}"))
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /api/v1/x?version=2 HTTP/1.1" and body == b"{}"
    assert set(lines[1:]) == {
        b"host: there.example",
        b"authorization: Bearer " + SECRET,
        b"user-agent: switchgear/0.1",
        b"accept-encoding: identity",
        b"connection: close",
        b"content-type: application/json",
        b"content-length: 2",
    }


def test_a_request_without_a_path_is_sent_to_the_destinations_url():
    assert made().encode(request(method="GET", path="")).startswith(b"GET / HTTP/1.1\r\n")
    assert made(path_prefix="/v1").encode(request(method="GET", path="?a=1")).startswith(b"GET /v1?a=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "more",
    [
        {"path": "/../admin"},
        {"path": "/a/%2e%2e/b"},
        {"path": "//evil.example"} if False else {"path": "/a b"},
        {"path": "@evil.example/"},
        {"path": "http://evil.example/"},
        {"path": "/x HTTP/1.1\r\nhost: evil"},
        {"path": "/x?a=b\r\nc: d"},
        {"content_type": "a/b\r\nx: y"},
        {"content_type": "a" * 129},
        {"body": bytes(49_153)},
    ],
)
def test_a_request_that_means_something_else_is_refused(more):
    with pytest.raises(RefusedError):
        made().encode(request(**more))


def test_a_destination_is_used_for_its_purpose_only():
    both = Destinations([destination(80), destination(5432, "db", "relay", auth="none", secret=b"")], KEYS)
    assert both.find("db", "relay").opens
    for name, purpose in (("db", "request"), ("there", "relay"), ("nowhere", "request")):
        with pytest.raises(RefusedError):
            both.find(name, purpose)
    assert [one.name for one in both.of("relay")] == ["db"]


def test_C1_a_destination_that_was_moved_does_not_open():
    sealed = destination(443)
    context = sealed.context
    variants = [
        msgspec.structs.replace(context, endpoint=msgspec.structs.replace(context.endpoint, **change))
        for change in (
            {"host": "evil.example"},
            {"port": 444},
            {"path_prefix": "/x"},
            {"proxy": "evil.example:3128"},
            {"tls_trust": "-----BEGIN"},
            {"allow_private": False},
            {"scheme": "https"},
        )
    ]
    variants += [msgspec.structs.replace(context, purpose="relay"), msgspec.structs.replace(context, credential="x")]
    for variant in variants:
        moved = Destinations([msgspec.structs.replace(sealed, context=variant)], KEYS)
        assert moved.unopened == [variant.credential]
        with pytest.raises(RefusedError):
            moved.find(variant.credential, variant.purpose)


@pytest.mark.parametrize("place", [{"path_prefix": "/a HTTP/1.1\r\nx: y"}, {"proxy": "abc"}, {"host": "a\r\nb: c"}])
def test_C1_a_destination_that_splits_a_request_does_not_open_whoever_sealed_it(place):
    found = Destinations([destination(80, **place)], KEYS)
    assert found.unopened == ["there"]
    with pytest.raises(RefusedError):
        found.find("there", "request")


def test_another_key_opens_nothing_and_the_state_says_so():
    other = Destinations([destination(443, keys=KeyPair(Secret(b"o" * 32)))], KEYS)
    (state,) = other.states()
    assert not state.opens and other.unopened == ["there"]
    assert SECRET.decode() not in repr(state)


def test_the_secret_is_removed_from_answers():
    assert made().clean(b"you sent " + SECRET) == b"you sent [redacted]"


def test_ports_are_those_of_proxies_where_there_are_any():
    sealed = [destination(443, scheme="https"), destination(5432, "db", "relay"), destination(1, proxy="[::1]:3128")]
    assert ports(sealed) == {443, 5432, 3128}


def test_a_notice_is_signed_as_the_standards_own_example():
    """Id, time, body, secret and signature are those of the standard's own tests (standard-webhooks, libraries/python,
    test_sign_function, read 2026-11-28)."""
    place = made(purpose="webhook", auth="none", secret=b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", path_prefix="/hook")
    notice = Notice(
        destination="there", id="msg_p5jXN8AQM9LWM0D4loKWxJek", time_s=1_614_265_330, body=b'{"test": 2432232314}'
    )
    head, _, body = place.encode_notice(notice).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /hook HTTP/1.1" and body == notice.body
    assert {
        b"webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp: 1614265330",
        b"webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b"content-type: application/json",
    } < set(lines)


@pytest.mark.parametrize("secret", [b"", b"whsec_short", b"whsec_" + b"A" * 28, b"not base64 at all, but long enough"])
def test_a_secret_that_is_none_of_a_webhook_opens_nothing(secret):
    assert Destinations([destination(80, purpose="webhook", auth="none", secret=secret)], KEYS).unopened == ["there"]


@pytest.mark.parametrize("more", [{"id": "a.b"}, {"id": "a\r\nb"}, {"time_s": -1}, {"body": bytes(49_153)}])
def test_a_notice_that_means_something_else_is_refused(more):
    place = made(purpose="webhook", auth="none", secret=b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with pytest.raises(RefusedError):
        place.encode_notice(Notice(**{"destination": "there", "id": "msg_1", "time_s": 5, "body": b"{}", **more}))


def test_a_webhook_takes_no_requests_and_a_url_no_notices():
    found = Destinations([destination(80)], KEYS)
    with pytest.raises(RefusedError, match="for requests"):
        found.find("there", "webhook")
