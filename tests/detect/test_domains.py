import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.domains import DomainDetector, Url, urls_in
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files

DETECTOR = DomainDetector(Library.read(shipped_files()).domains)


def provider(host: str) -> str | None:
    found = DETECTOR.match(host)
    return found.provider if found else None


def test_at_least_150_host_names_are_known_and_each_is_found():
    assert len(DETECTOR.names) >= 150
    for name in DETECTOR.names:
        host = name.pattern.replace("*", "eu-west-1")
        assert provider(host) == name.provider, host


@pytest.mark.parametrize("host", ["api.openai.com", "API.OpenAI.com.", "eu.api.openai.com", "_dns.api.openai.com"])
def test_a_name_covers_itself_and_what_is_below(host):
    assert provider(host) == "openai"


@pytest.mark.parametrize(
    "host",
    [
        "notapi.openai.com",
        "api.openai.com.evil.example",
        "openai.com",
        "xapi.openai.com",
        "api-openai.com",
        "com",
        "",
        ".",
    ],
)
def test_a_name_ends_at_labels(host):
    assert provider(host) is None


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("acme.openai.azure.com", "azure"),
        ("europe-west4-aiplatform.googleapis.com", "google"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "bedrock"),
        ("bedrock-runtime.eu-central-1.amazonaws.com.evil.example", None),
        ("storage.googleapis.com", None),
        ("s3.eu-central-1.amazonaws.com", None),
    ],
)
def test_a_host_is_matched_to_its_provider_by_pattern(host, wanted):
    assert provider(host) == wanted


@given(
    st.sampled_from([n.pattern for n in DETECTOR.names if "*" not in n.pattern]),
    st.text("abcdefgh-", min_size=1, max_size=12),
)
def test_letters_that_touch_a_name_make_another_name(name, letters):
    other = letters.strip("-") + name
    if other != name and DETECTOR.match(name) is not None:
        found = DETECTOR.match(other)
        assert found is None or found.pattern != name


def test_every_word_of_the_first_pass_stands_in_its_names():
    words = DETECTOR.words("d")
    assert all(any(word in name.pattern for word in words) for name in DETECTOR.names)


def test_hosts_and_ports_are_found_in_urls():
    line = b'a = "https://user:pw@api.openai.com:8443/v1" ; b = wss://Host.example/x ; c=http://[::1]:8000/'
    found = [(url.host, url.port) for url in urls_in(line)]
    assert found == [("api.openai.com", 8443), ("host.example", None), ("[::1]", 8000)]


@pytest.mark.parametrize(
    ("text", "host", "is_placeholder", "is_reading"),
    [
        ("https://api.openai.com/v1", "api.openai.com", False, False),
        ("https://YOUR-RESOURCE.openai.azure.com/", "your-resource.openai.azure.com", True, False),
        ("https://<resource>.openai.azure.com/", "<resource>.openai.azure.com", True, False),
        ('f"https://{resource}.openai.azure.com"', "x.openai.azure.com", False, False),
        ("`https://bedrock-runtime.${region}.amazonaws.com`", "bedrock-runtime.x.amazonaws.com", False, False),
        ('"https://%s-aiplatform.googleapis.com", location', "x-aiplatform.googleapis.com", False, False),
        ("https://docs.mistral.ai/api/", "docs.mistral.ai", False, True),
        ("see https://openrouter.ai/docs/quickstart", "openrouter.ai", False, True),
        ("https://openrouter.ai/api/v1", "openrouter.ai", False, False),
        ("https://test-api.acme.example/v1", "test-api.acme.example", True, False),
    ],
)
def test_a_url_tells_a_call_from_a_page_and_a_placeholder(text, host, is_placeholder, is_reading):
    (url,) = urls_in(text.encode())
    assert isinstance(url, Url) and (url.host, url.is_placeholder, url.is_reading) == (host, is_placeholder, is_reading)
