"""Gemini: streams."""

import json

from switchgear.dialects import canonical
from switchgear.dialects.gemini.streams import StreamDecoder, StreamEncoder

# Gemini API reference, "streamGenerateContent": every chunk repeats running totals; a call comes whole.
CHUNKS = [
    {
        "responseId": "r1",
        "modelVersion": "gemini-3",
        "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}],
    },
    {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "sig", "thought": True}]}}]},
    {"candidates": [{"content": {"parts": [{"text": "hello"}]}}], "usageMetadata": {"promptTokenCount": 3}},
    {
        "candidates": [
            {"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"}]}}
        ]
    },
    {
        "candidates": [{"content": {"parts": []}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 5,
            "serviceTier": "FLEX",
        },
    },
]
STREAM = b"".join(b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in CHUNKS)


def collected(*pieces):
    decoder, collector = StreamDecoder(), canonical.Collector()
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()
    for event in events:
        collector.add(event)
    return collector, events


def check(collector):
    answer = collector.answer
    thinking, text, call = answer.parts
    assert collector.is_ended and answer.id == "r1" and answer.finish == "tool_calls"
    assert (thinking.text, text.text, call.name, json.loads(call.arguments)) == ("hm", "hello", "f", {"a": 1})
    assert call.signature == "s2"
    assert (answer.usage.input, answer.usage.output_total) == (3, 9)


def test_a_stream_is_read_wherever_it_is_cut():
    for cut in range(0, len(STREAM), 11):
        check(collected(STREAM[:cut], STREAM[cut:])[0])


def test_events_are_written_as_they_were_read():
    _, events = collected(STREAM)
    encoder = StreamEncoder("m", 1, True)
    check(collected(b"".join(map(encoder.encode, events)))[0])


def test_pictures_and_log_probabilities_pass():
    chunk = {
        "candidates": [
            {
                "content": {"parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                "logprobsResult": {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]},
                "finishReason": "STOP",
            }
        ]
    }
    _, events = collected(b"data: %b\n\n" % json.dumps(chunk).encode())
    assert any(isinstance(event, canonical.Picture) for event in events)
    encoder = StreamEncoder("m", 1, True)
    out = b"".join(map(encoder.encode, events))
    assert b'"inlineData"' in out and b"AAAA" in out
    probed = StreamEncoder("m", 1, True)
    probed.encode(canonical.PartBegin(0, "text"))
    assert b"chosenCandidates" in probed.encode(
        canonical.Delta(0, "a", canonical.Raw(b'[{"token":"a","logprob":-0.5,"top_logprobs":[]}]'))
    )


def test_a_signature_of_another_maker_is_not_written():
    encoder = StreamEncoder("m", 1, True)
    assert encoder.encode(canonical.Signature(0, "x", None, "anthropic")) == b""
    assert b'"thoughtSignature":"x"' in encoder.encode(canonical.Signature(0, "x", None, "gemini"))


def test_a_blocked_prompt_and_an_error_end_the_stream():
    collector, _ = collected(b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n')
    assert collector.answer.finish == "content_filter"
    _, events = collected(b'data: {"error":{"message":"busy","status":"UNAVAILABLE"}}\n\n')
    assert isinstance(events[-1], canonical.Failed) and events[-1].kind == "UNAVAILABLE"


def test_a_stream_that_ends_with_a_wrong_call_failed():
    """litellm#21744."""
    decoder = StreamDecoder()
    for chunk in (
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
        {"candidates": [{"content": {"role": "model"}, "finishReason": "MALFORMED_FUNCTION_CALL"}]},
    ):
        events = decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
    assert isinstance(events[-1], canonical.Failed) and "MALFORMED_FUNCTION_CALL" in events[-1].message
    assert not any(isinstance(event, canonical.End) for event in decoder.finish())
