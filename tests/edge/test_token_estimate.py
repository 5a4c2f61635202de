"""Tokens are counted here where the provider cannot."""

import json

import pytest

from switchgear.testing.edge import NOTHING, Ask, Asked, Dialogue

BODY = json.dumps({"model": "up/m", "messages": [{"role": "user", "content": "x" * 400}]}).encode()


def test_tokens_are_estimated_where_the_provider_has_no_way_to_count():
    talk = Dialogue()
    body = json.dumps({"model": "up/m", "messages": [{"role": "user", "content": "x" * 400}]}).encode()
    talk.client >> Ask(body=body, path=b"/v1/messages/count_tokens")
    (sent,) = talk.client.exchange.seen
    assert sent.status == 200 and json.loads(sent.body)["input_tokens"] >= 100
    assert b"x-switchgear-estimated: true" in sent.headers
    assert talk.settled.cost_nanousd == 0


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_a_provider_that_counts_is_asked(dialect):
    talk = Dialogue(providers={"up": (dialect,)})
    talk.client >> Ask(body=BODY, path=b"/v1/messages/count_tokens")
    talk.vault << (Asked("up/default") if dialect == "anthropic" else NOTHING)
