import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.domains import DomainDetector, hosts_in
from switchgear.detect.rules import Library
from switchgear.discover.toolbox import shipped_files

DETECTOR = DomainDetector(Library.read(shipped_files()).domains)


def provider(host: str) -> str | None:
    found = DETECTOR.match(host)
    return found.provider if found else None


def test_there_are_enough_names_and_each_is_found():
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
def test_patterns(host, wanted):
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


def test_hosts_of_urls():
    line = b'a = "https://user:pw@api.openai.com:8443/v1" ; b = wss://Host.example/x ; c=http://[::1]:8000/'
    assert list(hosts_in(line)) == [("api.openai.com", 8443), ("host.example", None), ("[::1]", 8000)]
