"""What a key and a dry run are told of limits: read and never taken."""

import json

from switchgear.testing.edge import Asked, Dialogue, chat

DRY = {b"x-switchgear-dry-run": b"1"}


def told(talk, ask):
    talk.client >> ask
    (sent,) = talk.client.exchange.seen
    return json.loads(sent.body)


def key_of(talk):
    ask = chat("up/m")
    return told(talk, type(ask)(body=b"", path=b"/v1/key", method=b"GET"))


def test_a_key_sees_each_limit_with_what_is_left():
    talk = Dialogue(key={"rpm": 3, "parallel": 2, "limits": ["5 requests/day per end_user"]})
    talk.client >> chat("up/m")
    talk.vault << Asked()
    assert key_of(talk)["limits"] == [
        {"of": "key", "name": "k", "rule": "3 requests/minute", "limit": 3, "used": 1, "remaining": 2},
        {"of": "key", "name": "k", "rule": "2 parallel requests", "limit": 2, "used": 1, "remaining": 1},
        {"of": "key", "name": "k", "rule": "5 requests/day per end_user", "limit": 5, "used": None, "remaining": None},
    ]


def test_a_key_without_limits_has_none():
    assert key_of(Dialogue())["limits"] == []


def test_a_dry_run_names_the_rule_that_would_refuse():
    talk = Dialogue(key={"rpm": 2})
    assert told(talk, chat("up/m", DRY))["refused_by_limit"] is None
    for _ in range(2):
        talk.client >> chat("up/m")
        talk.vault << Asked()
    found = told(talk, chat("up/m", DRY))
    assert found["refused_by_limit"].startswith("the limit of 2 requests/minute of this API key is reached")
    assert found["limits"][0]["remaining"] == 0


def test_a_dry_run_of_what_is_too_large_says_so():
    talk = Dialogue(key={"tpm": 100})
    assert "too large" in told(talk, chat("up/m", DRY, max_tokens=5_000))["refused_by_limit"]
