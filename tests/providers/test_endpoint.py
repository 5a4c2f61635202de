"""Base URLs are parsed once, strictly."""

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
