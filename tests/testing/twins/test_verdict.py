"""The twins beside reality: what real providers took, they take; what is known to be refused, they refuse."""

import json
import re
from urllib.parse import unquote

import pytest

from switchgear.testing import recordings
from switchgear.testing.twins import judge, judge_at


def taken():
    """Recorded chat exchanges that a provider answered with success: (provider, dialect, model, body)."""
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        if dialect is None or one.status >= 400:
            continue
        named = re.search(r"/models?/([^/:]+|[^/]+(?=/converse))", one.path)
        model = one.request.get("model") or unquote(named.group(1) if named else "")
        yield one.id, one.provider, dialect, model, json.dumps(one.request).encode()


# A client's state that the newest SDK types no longer allow, taken by the real one all the same.
OLDER_THAN_THE_TYPES = {"74d7afd0d9cd"}


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_a_request_that_a_real_provider_took_is_taken_by_its_twin():
    refused = {
        (name, provider, dialect, model): verdict.body
        for name, provider, dialect, model, body in taken()
        if (verdict := judge_at(provider, dialect, model, body)) is not None and name not in OLDER_THAN_THE_TYPES
    }
    assert refused == {}


def test_a_body_that_is_no_json_is_refused():
    assert judge("openai", "m", b"{").rule == "json"
    assert judge("openai", "m", b"[]").rule == "json"


def test_a_tools_message_may_name_its_function_at_openai():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]}]
    for more, rule in (({"name": "f"}, None), ({"names": "f"}, "types")):
        told = {"role": "tool", "tool_call_id": "c1", "content": "ok", **more}
        refusal = judge("openai", "gpt-4.1", json.dumps({"model": "gpt-4.1", "messages": [*asked, told]}).encode())
        assert (refusal.rule if refusal else None) == rule
