import pytest

from switchgear.policies.cors import Cors, check_origin

APP = b"https://app.example"


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000", "https://[::1]:8443", "http://a:443", "https://10.0.0.1", "https://my_app.example", "*"])  # fmt: skip
def test_an_origin_is_what_browsers_send(origin):
    assert check_origin(origin) is None


@pytest.mark.parametrize("origin", ["https://app.example/", "app.example", "https://App.example", "null", "https://*.example", "https://a.example\r\nx: y", ""])  # fmt: skip
def test_anything_else_is_refused(origin):
    assert "no origin" in check_origin(origin)


@pytest.mark.parametrize("origin", ["https://a..b", "https://a.", "https://a:70000", "https://a:080", "https://a:0", "https://1.2.3", "https://010.0.0.1", "https://1.2.3.0x4", "https://[0:0:0:0:0:0:0:1]", "https://[1::2::3]", "https://" + "a" * 64])  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused(origin):
    """URL Standard: hosts are serialized in their shortest form, ports without zeros."""
    assert "no origin" in check_origin(origin)


@pytest.mark.parametrize(("origin", "sent"), [("https://a:443", "https://a"), ("http://[::1]:80", "http://[::1]")])
def test_the_schemes_own_port_is_refused_with_what_browsers_send(origin, sent):
    """URL Standard, "port state": a port that is the scheme's default is set to null."""
    assert check_origin(origin).endswith(f": {sent}")


def test_answers_name_the_page_that_may_read_them_and_no_other():
    """Fetch Standard, "CORS check": the answer's value is the origin, or `*`."""
    rules = Cors(["https://app.example"])
    assert b"access-control-allow-origin: https://app.example\r\n" in rules.lines({b"origin": APP})
    assert rules.lines({b"origin": b"https://evil.example"}) == b"vary: origin\r\n"
    assert b"access-control-allow-origin: *\r\n" in Cors(["*"]).lines({b"origin": b"https://evil.example"})
    assert b"credentials" not in rules.lines({b"origin": APP})


def test_answers_differ_by_origin_also_for_whoever_names_none():
    """Fetch Standard, "CORS protocol and HTTP caches": a cache keeps the answer to a request without Origin, and gives it to a page's
    unless `Vary: Origin` stands in it; with `*` all answers are the same."""
    assert b"vary: origin\r\n" in Cors(["https://app.example"]).lines({})
    assert b"vary: origin\r\n" in Cors(["https://app.example"]).lines({b"origin": APP})
    anybody = Cors(["*", "https://app.example"])
    assert anybody.lines({}) == anybody.lines({b"origin": APP}) and b"vary" not in anybody.lines({})


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
