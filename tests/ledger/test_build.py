"""Records from stored rows: what an earlier version kept is shown as this one writes it."""

import msgspec
from tests.ledger.test_absorb import rid

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build, record
from switchgear.wire import records

KEPT_WHOLE = b"""{"record_version":1,"id":"i","time":"t","operation":"chat","path":"/p","dialect":"openai","provider":"azure",
"deployment":"azure/eu","credential":"eu","upstream_model":"gpt-4o","status":200,"outcome":"ok","gateway_version":"0.1.0",
"attempts":[{"id":"i-1","provider":"openai","deployment":"openai/main","credential":"main","upstream_model":"gpt-4o"},
{"id":"i-2","provider":"azure","deployment":"azure/eu","credential":"eu","upstream_model":"gpt-4o"}]}"""
"""A record as the program wrote it whose deployment had no model."""


def no_price(*_):
    return None


def test_a_record_that_was_kept_whole_names_its_deployments_with_their_models():
    shown = build.from_row(KEPT_WHOLE, no_price)
    assert (shown.record_version, shown.deployment) == (2, "azure/gpt-4o@eu")
    assert [attempt.deployment for attempt in shown.attempts] == ["openai/gpt-4o@main", "azure/gpt-4o@eu"]


def test_a_denial_that_was_kept_whole_names_no_deployment():
    denied = msgspec.json.decode(KEPT_WHOLE) | dict.fromkeys(("provider", "deployment", "credential", "upstream_model"))
    shown = build.from_row(msgspec.json.encode(denied | {"attempts": []}), no_price)
    assert (shown.record_version, shown.deployment, shown.attempts) == (2, None, [])


def test_a_record_of_this_version_is_read_as_it_is():
    this = msgspec.json.decode(KEPT_WHOLE) | {"record_version": 2, "deployment": "azure/gpt-4o@eu", "attempts": []}
    assert build.from_row(msgspec.json.encode(this), no_price) == record.decode(msgspec.json.encode(this))


def test_a_row_of_the_spools_payloads_names_the_deployment_of_every_attempt():
    place = records.Place("chat", "/p", "openai", "fast", "openai", "openai/main", "main", "gpt-4o", None)
    raw = [msgspec.Raw(records.encode_payload(part)) for part in (records.Who("k", "n", 1, None, None, None), place)]
    reserve = records.Reserve(rid(1), 1, *raw, False, 1, None, None, 2)
    attempt = records.Attempt(rid(1), 2, "azure", "azure/eu", "eu", "gpt-4o", None)
    outcomes = [records.AttemptOutcome(number, 200, None, 0, 1, 2, None, None, TokenUsage()) for number in (1, 2)]
    settle = records.Settle(rid(1), 200, "ok", outcomes, TokenUsage(), None, None, None, None, None, 2, 2, None)
    kept = [msgspec.Raw(records.encode_payload(part)) for part in (reserve, settle)]
    stored = build.Stored(kept[0], [attempt], kept[1])
    shown = build.from_row(build.encode_stored(stored), no_price)
    assert shown.deployment == "azure/gpt-4o@eu"
    assert [one.deployment for one in shown.attempts] == ["openai/gpt-4o@main", "azure/gpt-4o@eu"]
