"""A stream as one JSON array."""

import json

from tests.dialects.samples import ask, provider_stream

from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks


def test_geminis_array_mode_is_json_to_the_last_byte_and_open_when_cut():
    stream = provider_stream("gemini")
    for provider in ("gemini", "openai"):
        translation = open_translation(
            ask("gemini", True), "gemini", provider, "up", Quirks(), created=1, as_array=True
        )
        tap = translation.tap()
        data = stream if provider == "gemini" else provider_stream("openai")
        out = b"".join(tap.feed(data[at : at + 11]) for at in range(0, len(data), 11)) + tap.finish()
        assert len(json.loads(out)) >= 2
    tap = translation.tap()
    assert not (tap.feed(data[:300]) + tap.finish()).endswith(b"]")
