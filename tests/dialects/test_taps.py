"""Taps: bytes pass, the metadata is what the stream said."""

from switchgear.dialects.anthropic import tap as anthropic
from switchgear.dialects.gemini import tap as gemini
from switchgear.dialects.taps import SseTap

CLAUDE = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1","usage":{"input_tokens":9,"output_tokens":1,'
    b'"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"a \\"message_stop\\" b"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":7,"cache_creation_input_tokens":30}}\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_running_totals_are_merged_and_written_tokens_counted_once():
    tap = SseTap(anthropic.TAP_RULES)
    assert tap.feed(CLAUDE) == CLAUDE
    usage = tap.metadata.usage
    assert (usage.input, usage.cache_write_5m, usage.cache_write_1h, usage.output) == (9, 10, 20, 7)
    assert tap.metadata.response_id == "m1" and tap.is_clean
    tap.feed(STOP)
    assert tap.is_clean


def test_a_stream_that_is_cut_before_its_end_is_not_clean_and_its_input_is_known():
    tap = SseTap(anthropic.TAP_RULES)
    tap.feed(CLAUDE.split(b"\n\n")[0] + b"\n\n")
    assert not tap.is_clean and tap.metadata.usage.input == 9


def test_only_the_last_of_repeated_usages_counts():
    chunk = b'data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":%d}}\r\n\r\n'
    last = b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":9}}\r\n\r\n'
    tap = SseTap(gemini.TAP_RULES)
    tap.feed(chunk % 1 + chunk % 2)
    assert tap.metadata.usage.output == 2 and not tap.is_clean
    tap.feed(chunk % 3 + last)
    assert tap.metadata.usage.output == 9 and tap.is_clean


def test_an_error_event_is_seen_and_strange_events_pass():
    tap = SseTap(anthropic.TAP_RULES)
    strange = b'event: message_delta\ndata: {"type":"message_delta","delta":5}\n\ndata: "message_stop"\n\n'
    assert tap.feed(strange) == strange and not tap.error
    tap.feed(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n')
    assert tap.error and not tap.is_clean
