"""The twins beside reality: what real providers took, they take; what is known to be refused, they refuse."""

import json
import re
from urllib.parse import unquote

import pytest

from switchgear.testing import recordings
from switchgear.testing.twins import judge


def taken():
    """Recorded chat exchanges that the makers of a dialect answered with success: (dialect, model, body)."""
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        is_makers = dialect not in {"openai", "responses"} or one.provider == "openai"
        if dialect is None or one.status >= 400 or not is_makers:
            continue
        named = re.search(r"/models?/([^/:]+|[^/]+(?=/converse))", one.path)
        model = one.request.get("model") or unquote(named.group(1) if named else "")
        yield one.id, dialect, model, json.dumps(one.request).encode()


# A client's state that the newest SDK types no longer allow, taken by the real one all the same.
OLDER_THAN_THE_TYPES = {"74d7afd0d9cd"}


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_what_real_providers_took_a_twin_takes():
    refused = {
        (name, dialect, model): verdict.body
        for name, dialect, model, body in taken()
        if (verdict := judge(dialect, model, body)) is not None and name not in OLDER_THAN_THE_TYPES
    }
    assert refused == {}


def test_a_body_that_is_no_json_is_refused():
    assert judge("openai", "m", b"{").rule == "json"
    assert judge("openai", "m", b"[]").rule == "json"
