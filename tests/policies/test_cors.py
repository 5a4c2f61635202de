import pytest

from switchgear.policies.cors import Cors, check_origin

APP = b"https://app.example"


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000", "https://[::1]:8443", "*"])
def test_an_origin_is_what_browsers_send(origin):
    assert check_origin(origin) is None


@pytest.mark.parametrize("origin", ["https://app.example/", "app.example", "https://App.example", "null", "https://*.example", "https://a.example\r\nx: y", ""])  # fmt: skip
def test_anything_else_is_refused(origin):
    assert "no origin" in check_origin(origin)


def test_answers_name_the_page_that_may_read_them_and_no_other():
    """Fetch Standard, "CORS check": the answer's value is the origin, or `*`."""
    rules = Cors(["https://app.example"])
    assert b"access-control-allow-origin: https://app.example\r\n" in rules.lines({b"origin": APP})
    assert rules.lines({b"origin": b"https://evil.example"}) == b"vary: origin\r\n" and rules.lines({}) == b""
    assert b"access-control-allow-origin: *\r\n" in Cors(["*"]).lines({b"origin": b"https://evil.example"})
    assert b"credentials" not in rules.lines({b"origin": APP})


def test_a_browsers_question_is_answered_for_pages_that_may_ask():
    """Fetch Standard, "CORS-preflight fetch": OPTIONS with the method, and the headers in lower case."""
    rules = Cors(["https://app.example"])
    asked = {
        b"origin": APP,
        b"access-control-request-method": b"POST",
        b"access-control-request-headers": b"authorization,content-type",
    }
    found = rules.preflight(b"OPTIONS", asked)
    assert b"access-control-allow-headers: authorization,content-type\r\n" in found and b"POST" in found
    assert rules.preflight(b"POST", asked) is None
    assert rules.preflight(b"OPTIONS", {b"origin": APP}) is None
    assert rules.preflight(b"OPTIONS", asked | {b"origin": b"https://evil.example"}) is None
    split = rules.preflight(b"OPTIONS", asked | {b"access-control-request-headers": b"a\r\nx: y"})
    assert b"x: y" not in split
