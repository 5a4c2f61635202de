"""Answers that are kept, over two edges, as the official SDK sees them: who asks its provider, what is booked, what a purge does."""

import openai
import pytest
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

EDGES = 2
ROUNDS = 12
COST_NANOUSD = 1_500
"""Of one answer of fake/echo, as in test_openai_sdk.py: 2 tokens in at 0.15, 2 out at 0.60 USD per million."""


@pytest.fixture(scope="module")
def gateway(provider):
    running = GatewayProcess(config(provider.port), environ=ENVIRON, workers=EDGES)
    yield running
    assert running.stop() == 0


def ask(gateway, key, text, stream=False):
    """Ask on a connection of its own, so that any edge may get it; returns (what the cache was, the answer's text)."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=PATIENCE_S) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="fast", messages=[{"role": "user", "content": text}], stream=stream
        )
        answer = raw.parse()
        if stream:
            return raw.headers["x-switchgear-cache"], "".join(
                chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices
            )
        return raw.headers["x-switchgear-cache"], answer.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
def test_each_edge_asks_once_and_everything_else_costs_nothing(gateway, provider, stream):
    name, text = f"kept-{stream}".lower(), f"kept words {stream}"
    key = gateway.key(name, "--cache", "ttl=10m")
    before = len(provider.seen())
    answers = [ask(gateway, key, text, stream) for _ in range(ROUNDS)]
    misses = sum(1 for cache, _ in answers if cache == "miss")
    assert {cache for cache, _ in answers} == {"hit", "miss"}
    assert misses <= EDGES
    assert {said.strip() for _, said in answers} == {text}
    assert len(provider.seen()) - before == misses
    records = gateway.records("--key", name, count=ROUNDS)
    cached = [record for record in records if record["cached"]]
    assert len(cached) == ROUNDS - misses
    for record in cached:
        assert (record["cost_nanousd"], record["attempts"], record["tokens"]) == (0, [], None)
        assert record["saved_nanousd"] == next(one["cost_nanousd"] for one in records if not one["cached"]) > 0
        assert record["stream"] is stream


def test_a_purge_holds_in_every_edge_and_a_freeze_leaves_no_hit(gateway):
    key = gateway.key("purged", "--cache", "ttl=10m")
    while ask(gateway, key, "to purge")[0] != "hit":
        pass
    gateway.cli("cache", "purge")
    assert ask(gateway, key, "to purge")[0] == "miss"
    gateway.cli("freeze", "key", "purged")
    with pytest.raises(openai.PermissionDeniedError):
        ask(gateway, key, "to purge")


def test_the_books_of_vault_and_edges_agree_about_what_nobody_was_asked(gateway):
    assert gateway.cli("ledger", "verify").returncode == 0
    assert gateway.status()["problems"] == []
