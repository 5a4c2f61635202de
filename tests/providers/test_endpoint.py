"""Base URLs are parsed once, strictly."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.providers import endpoint


def test_a_well_formed_url_is_read_into_its_parts():
    place = endpoint.parse("https://API.example.com:8443/v1/")
    assert (place.scheme, place.host, place.port, place.path_prefix) == ("https", "api.example.com", 8443, "/v1")
    assert place.url == "https://api.example.com:8443/v1"
    assert place.host_header == b"api.example.com:8443"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "ftp://a/b",
        "https://user@a.com",
        "https://a.com?x=1",
        "https://a.com#f",
        "https://a.com/v1/../x",
        "https://a .com",
        "https://a.com\\@b.com",
        "https://0x7f.1",
        "https://2130706433",
        "https://127.1",
        "https://0177.0.0.1",
        "https://a.com:99999",
        "https://ä.com",
        "https://",
        "https://a.com/%2e%2e",
        "https://[::1",
        "https://-a.com",
        "",
    ],
)
def test_C1_odd_spellings_are_refused(url):
    with pytest.raises(ValueError):
        endpoint.parse(url)


def test_plain_http_needs_allow_private():
    assert endpoint.parse("http://127.0.0.1:8000/v1", allow_private=True).port == 8000
    assert endpoint.parse("https://[2606:4700::1]/v1").url == "https://[2606:4700::1]/v1"


def test_names_of_services_in_a_compose_file_are_hosts():
    """compose-spec, "services": a name is `[a-zA-Z0-9._-]+` (read 2026-11-27); Docker's resolver knows each by it."""
    assert endpoint.parse("http://my_vllm:8000/v1", allow_private=True).host_header == b"my_vllm:8000"
    for bad in ("http://_vllm", "http://vllm_", "http://a._b"):
        with pytest.raises(ValueError, match="no valid host"):
            endpoint.parse(bad, allow_private=True)


AZURE = "https://acme.openai.azure.com/openai/deployments/prod/chat/completions"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (AZURE + "?api-version=2024-10-21", "kind: azure, resource: acme, api_version: 2024-10-21, and prod as"),
        ("https://ai.example.com/v1?key=abc", "auth: query"),
        ("https://me:pass@ai.example.com/v1", "credentials"),
    ],
)
def test_a_base_url_with_more_than_an_address_is_refused_with_what_to_write(url, hint):
    with pytest.raises(ValueError, match="must not hold user info, a query or a fragment") as failure:
        endpoint.parse(url)
    assert hint in str(failure.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("http-referer", "https://app.example", None),
        ("x-custom", "a b", None),
        ("authorization", "Bearer x", "credentials"),
        ("x-api-key", "x", "credentials"),
        ("host", "evil.example", "the gateway's to write"),
        ("transfer-encoding", "chunked", "the gateway's to write"),
        ("content-encoding", "gzip", "the gateway's to write"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "the gateway's to write"),
        ("x-amz-meta-a", "x", "the gateway's to write"),
        ("x-amzn-bedrock-guardrailidentifier", "abc", None),
        ("proxy-authorization", "x", "must be a header's name"),
        ("X-Upper", "x", "must be a header's name"),
        ("x-split", "a\r\nhost: b", "printable ASCII"),
        ("x-empty", "", "printable ASCII"),
    ],
)
def test_header_fields_of_every_request_split_no_head_and_hold_no_secret(name, value, said):
    found = endpoint.check_header(name, value)
    assert found is None if said is None else said in found


@given(st.text(max_size=60))
def test_garbage_is_refused_or_canonical(text):
    try:
        place = endpoint.parse("https://" + text)
    except ValueError:
        return
    assert endpoint.parse(place.url) == place


@pytest.mark.parametrize("name", ["content-length", "host", "transfer-encoding", "proxy-authorization", "x-amz-date"])
def test_a_field_that_frames_or_signs_a_request_presents_no_secret(name):
    """RFC 9112, section 6.3: two lengths are a request within another."""
    assert not endpoint.is_auth(f"header:{name}")
    assert endpoint.is_auth("header:x-acme-key") and endpoint.is_auth("header:cookie")


PLACE = endpoint.parse("https://api.example.com/v1")
PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "127.0.0.1\r\nx-evil: 1"),
        ("host", "a\x00b"),
        ("host", "\u00e9.example"),
        ("host", "2130706433"),
        ("host", "a" * 64 + ".example"),
        ("host", ""),
        ("port", 0),
        ("port", 70_000),
        ("port", 2**63),
        ("port", -(10**30)),
        ("scheme", "http"),
        ("path_prefix", "/a b HTTP/1.1\r\nx: y"),
        ("path_prefix", "/v1/../admin"),
        ("path_prefix", "v1"),
        ("path_prefix", "/v1/"),
        ("path_prefix", "/a" * 600),
        ("query", "a=b HTTP/1.1\r\nx: y"),
        ("query", "a=b&c=d"),
        ("query", "a=" + "b" * 300),
        ("auth", "basic"),
        ("auth", "header:x\r\ny"),
        ("auth", "header:content-length"),
        ("auth_parameters", (("region", "eu\r\nx: y"),)),
        ("auth_parameters", (("region", "\u00e9"),)),
        ("auth_parameters", (("a b", "x"),)),
        ("auth_parameters", (("a", "x"), ("a", "y"))),
        ("auth_parameters", (("a", "x" * 2_049),)),
        ("auth_parameters", tuple((f"a{n}", "x") for n in range(17))),
        ("proxy", "abc"),
        ("proxy", "127.0.0.1:99999"),
        ("proxy", "127.0.0.1:-1"),
        ("proxy", "\u0661:\u0661"),
        ("proxy", "127.0.0.1\r\n:80"),
        ("proxy", "me@proxy.example:80"),
        ("proxy", "proxy.example:80/x"),
        ("headers", (("x-a", "b\r\nauthorization: Bearer EVIL"),)),
        ("headers", (("content-length", "3"),)),
        ("headers", (("transfer-encoding", "chunked"),)),
        ("headers", (("x-a", "\u00e9"),)),
        ("headers", (("x-\u00e9", "a"),)),
        ("headers", (("x-a", "1"), ("x-a", "2"))),
        ("headers", (("", ""),)),
        ("headers", tuple((f"x-{n}", "v") for n in range(17))),
        ("passthrough", ("GET /a\r\nx",)),
        ("passthrough", ("TRACE /",)),
        ("passthrough", ("GET /a",) * 129),
        ("tls_trust", "garbage"),
        ("tls_trust", "\x00"),
        ("tls_trust", PEM + "\u00e9"),
        ("tls_trust", PEM * 1_000),
        ("tls_trust", PEM + "\ud800"),
    ],
)
def test_C1_a_place_that_no_parser_makes_or_no_request_can_be_sent_to_is_refused_by_its_field(field, value):
    """RFC 9110, section 5.5: CR, LF and NUL in a field are dangerous; the other values are of no grammar of theirs."""
    found = endpoint.check(msgspec.structs.replace(PLACE, **{field: value}))
    assert found is not None and found.isprintable() and (found.startswith(f"{field}:") or "bytes" in found)


def test_a_header_field_that_presents_the_credential_is_not_set_beside_it():
    place = msgspec.structs.replace(PLACE, auth="header:x-acme-key", headers=(("x-acme-key", "other"),))
    assert "presents the credential" in endpoint.check(place)


def test_a_place_with_all_its_fields_set_passes_its_check():
    full = msgspec.structs.replace(
        endpoint.parse(
            "http://[::1]:8000/v1", auth="header:x-acme-key", allow_private=True, query="api-version=2024-10-21"
        ),
        auth_parameters=(("scope", "a b"), ("token_url", "https://login.example/t?x=y")),
        passthrough=("GET /files*", "POST /fine_tuning/jobs"),
        tls_trust=PEM,
        proxy="[::1]:3128",
        headers=(("http-referer", "https://app.example"), ("x-team", "ml")),
    )
    assert endpoint.check(full) is None


@given(st.text(max_size=60))
def test_what_the_parser_makes_passes_the_check(text):
    try:
        place = endpoint.parse("https://" + text)
    except ValueError:
        return
    assert endpoint.check(place) is None
