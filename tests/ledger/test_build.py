"""Records from stored rows: what an earlier version kept is shown as this one writes it."""

import msgspec
import pytest
from tests.ledger.test_ingest import rid

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
    callee = records.Callee("chat", "/p", "openai", "fast", "openai", "openai/main", "main", "gpt-4o", None)
    raw = [
        msgspec.Raw(records.encode_payload(part)) for part in (records.Caller("k", "n", 1, None, None, None), callee)
    ]
    reserve = records.Reserve(rid(1), 1, *raw, False, 1, None, None, 2)
    attempt = records.Attempt(rid(1), 2, "azure", "azure/eu", "eu", "gpt-4o", None)
    outcomes = [records.AttemptOutcome(number, 200, None, 0, 1, 2, None, None, TokenUsage()) for number in (1, 2)]
    settle = records.Settle(rid(1), 200, "ok", outcomes, TokenUsage(), None, None, None, None, None, 2, 2, None)
    kept = [msgspec.Raw(records.encode_payload(part)) for part in (reserve, settle)]
    stored = build.StoredRecord(kept[0], [attempt], kept[1])
    shown = build.from_row(build.encode_stored(stored), no_price)
    assert shown.deployment == "azure/gpt-4o@eu"
    assert [one.deployment for one in shown.attempts] == ["openai/gpt-4o@main", "azure/gpt-4o@eu"]


def test_of_two_attempts_at_once_the_record_is_of_the_one_that_answered():
    callee = records.Callee("chat", "/p", "openai", "fast", "openai", "openai/main", "main", "gpt-4o", None)
    raw = [
        msgspec.Raw(records.encode_payload(part)) for part in (records.Caller("k", "n", 1, None, None, None), callee)
    ]
    reserve = records.Reserve(rid(1), 1, *raw, False, 1, None, None, 2)
    second = records.Attempt(rid(1), 2, "azure", "azure/eu", "eu", "gpt-4o", None)
    lost = records.AttemptOutcome(2, None, "hedged", 5, None, 9, None, None, TokenUsage(input=1), None, True)
    won = records.AttemptOutcome(1, 200, None, 0, 8, 9, None, None)
    settle = records.Settle(
        rid(1), 200, "ok", [lost, won], TokenUsage(output=3), None, None, None, None, None, 2, 9, None
    )
    kept = [msgspec.Raw(records.encode_payload(part)) for part in (reserve, settle)]
    shown = build.from_row(build.encode_stored(build.StoredRecord(kept[0], [second], kept[1])), no_price)
    assert (shown.deployment, shown.provider) == ("openai/gpt-4o@main", "openai")
    assert [(one.deployment, one.error) for one in shown.attempts] == [
        ("azure/gpt-4o@eu", "hedged"),
        ("openai/gpt-4o@main", None),
    ]
    assert not build.is_failure(None, "hedged")


@pytest.mark.parametrize(
    ("agent", "tool", "version"),
    [  # as the clients send it (2026-11-27)
        ("OpenAI/Python 3.3.0", "OpenAI/Python", "3.3.0"),
        ("GeminiCLI-tui/0.61.0/openai/gpt-5 (linux; x64; terminal)", "GeminiCLI-tui", "0.61.0"),
        ("claude-cli/2.1.332 (external, sdk-cli)", "claude-cli", "2.1.332"),
        ("codex_exec/0.171.0 (Debian 12.0.0; x86_64) dumb", "codex_exec", "0.171.0"),
        ("Anthropic/JS 0.122.0", "Anthropic/JS", "0.122.0"),
        ("ai-sdk/openai-compatible/3.0.92 runtime/node.js/24", "ai-sdk/openai-compatible", "3.0.92"),
        ("opencode/local", "opencode", "local"),
        ("switchgear-connect", "switchgear-connect", None),
        ("node", "node", None),
        ("/1", "", "1"),
    ],
)
def test_a_clients_name_and_version_are_told_apart(agent, tool, version):
    callee = records.Callee("chat", "/p", "openai", "fast", "openai", "openai/main", "main", "gpt-4o", None)
    caller = records.Caller("k", "n", 1, None, None, None, tool=agent)
    raw = [msgspec.Raw(records.encode_payload(part)) for part in (caller, callee)]
    reserve = records.Reserve(rid(1), 1, *raw, False, 1, None, None, 2)
    outcome = records.AttemptOutcome(1, 200, None, 0, 1, 2, None, None, TokenUsage())
    settle = records.Settle(rid(1), 200, "ok", [outcome], TokenUsage(), None, None, None, None, None, 2, 2, None)
    kept = [msgspec.Raw(records.encode_payload(part)) for part in (reserve, settle)]
    shown = build.from_row(build.encode_stored(build.StoredRecord(kept[0], [], kept[1])), no_price)
    assert (shown.client.tool, shown.client.version) == (tool, version)
