"""Every official SDK against every kind of provider: each cell of docs/compatibility.md is a call made here."""

import json
import os
from pathlib import Path

import pytest
import trustme
from tests.end_to_end.clients import CLIENTS, PIXEL, close
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess

# What a provider is called in the configuration, and what its dialect is called in the table.
PROVIDERS = {
    "fake": "OpenAI chat",
    "native": "OpenAI responses",
    "claude": "Anthropic",
    "google": "Gemini",
    "aws": "Bedrock Converse",
    "commands": "Cohere",
}
TABLE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def text(client, provider):
    assert client.text(f"{provider}/echo", "hello there") == "hello there"


def streaming(client, provider):
    pieces = client.stream(f"{provider}/echo", "one two three")
    assert "".join(pieces).split() == ["one", "two", "three"]
    assert len(pieces) >= 3


def tools(client, provider):
    calls, after = client.tools(f"{provider}/echo", ["weather"])
    assert calls == [("weather", {"city": "Paris"})]
    assert after == "tool said: sun 0"


def parallel(client, provider):
    wanted = [("weather", {"city": "Paris"}), ("traffic", {"city": "Paris"})]
    calls, after = client.tools(f"{provider}/echo", ["weather", "traffic"])
    assert calls == wanted
    assert after == "tool said: sun 0, sun 1"
    assert client.stream_tools(f"{provider}/echo", ["weather", "traffic"]) == wanted


def images(client, provider):
    assert client.image(f"{provider}/echo") == f"see [image image/png {(len(PIXEL) + 2) // 3 * 4 * 3 // 4} bytes]"


def schema(client, provider):
    assert json.loads(client.schema(f"{provider}/echo")) == {"capital": "Paris"}


def thinking(client, provider):
    assert client.thinking(f"{provider}/claude-demo") == "Let me think about it."


def usage(client, provider):
    assert client.usage(f"{provider}/echo") == (3, 3)


def errors(client, provider):
    for model, status in ((f"{provider}/status-400", 400), (f"{provider}/status-429", 429), ("no/such-model", 404)):
        with pytest.raises(client.error) as info:
            client.text(model, "hello")
        assert status_of(info.value) == status


def status_of(error):
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return response["ResponseMetadata"]["HTTPStatusCode"]
    return getattr(error, "status_code", None) or getattr(error, "code", None)


FEATURES = {
    "text": text,
    "streaming": streaming,
    "tools": tools,
    "parallel tools": parallel,
    "images": images,
    "JSON schema": schema,
    "thinking": thinking,
    "usage": usage,
    "errors": errors,
}


@pytest.fixture(scope="module")
def provider(strict_provider):
    return strict_provider


@pytest.fixture(scope="module")
def gateway(strict_gateway):
    return strict_gateway


@pytest.fixture(scope="module")
def key(strict_key):
    return strict_key


@pytest.fixture(scope="module")
def secure(provider, tmp_path_factory):
    """A gateway with TLS: (its URL, a key, the authority's file)."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made = authority.issue_cert("localhost")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    arguments = ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
    running = GatewayProcess(config(provider.port), environ=ENVIRON, arguments=arguments, workers=1)
    yield f"https://localhost:{running.port}", running.key("tests"), str(folder / "ca.pem")
    assert running.stop() == 0


@pytest.fixture(scope="module")
def clients(gateway, key, secure):
    made = {kind.name: kind(*secure) if hasattr(kind, "needs_tls") else kind(gateway.url, key) for kind in CLIENTS}
    yield made
    for client in made.values():
        close(client)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("name", [made.name for made in CLIENTS])
def test_an_sdks_feature_works_with_a_kind_of_provider(clients, name, kind, feature):
    FEATURES[feature](clients[name], kind)


@pytest.mark.parametrize("kind", ["fake", "native", "google", "aws"])
def test_a_tool_runner_of_anthropics_sdk_goes_on_without_a_thread_where_there_is_none(gateway, key, kind):
    """It asks with a thread first (anthropic 2.13): only the SDK's own reading of the refusal makes it send all messages."""
    import anthropic

    asked = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: where
        """
        asked.append(city)
        return "sun"

    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model=f"{kind}/echo", max_tokens=99, tools=[weather], messages=[{"role": "user", "content": "weather?"}]
        )
        last = runner.until_done()
    assert asked == ["Paris"]
    assert "tool said: sun" in last.content[-1].text


def table():
    """The page, from the same lists that the tests run over."""
    lines = [
        "# Which client reaches which provider",
        "",
        "Each cell is a test: an official SDK as the client, real processes between, and a provider that speaks only its own",
        "dialect (`tests/end_to_end/test_sdks.py`). Every client does all of this with every kind of provider:",
        f"{', '.join(FEATURES)}.",
        "",
        "| client | " + " | ".join(PROVIDERS.values()) + " |",
        "|---|" + "---|" * len(PROVIDERS),
        *(f"| {made.name} |" + " ✔ |" * len(PROVIDERS) for made in CLIENTS),
        "",
        "What a dialect cannot say is listed in [dialects.md](dialects.md).",
        "",
        "",
    ]
    return "\n".join(lines)


def test_the_table_in_the_documentation_is_this_one():
    before, mark, programs = TABLE.read_text().partition("## Whole programs\n")
    if os.environ.get("WRITE_DOCS"):
        TABLE.write_text(table() + mark + programs)
    assert before == table() and programs, "what stands below is written by `make clients`"
