"""Listeners: bytes pass, the reading is what the stream said."""

from switchgear.dialects.anthropic import tap as anthropic
from switchgear.dialects.gemini import tap as gemini
from switchgear.dialects.reading import Listener, cap
from switchgear.wire import sse

CLAUDE = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1","usage":{"input_tokens":9,"output_tokens":1,'
    b'"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"a \\"message_stop\\" b"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":7,"cache_creation_input_tokens":30}}\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_running_totals_are_merged_and_written_tokens_counted_once():
    listener = Listener(anthropic.EARS)
    assert listener.feed(CLAUDE) == CLAUDE
    usage = listener.reading.usage
    assert (usage.input, usage.cache_write_5m, usage.cache_write_1h, usage.output) == (9, 10, 20, 7)
    assert listener.reading.response_id == "m1" and listener.is_clean
    listener.feed(STOP)
    assert listener.is_clean


def test_a_stream_that_is_cut_before_its_end_is_not_clean_and_its_input_is_known():
    listener = Listener(anthropic.EARS)
    listener.feed(CLAUDE.split(b"\n\n")[0] + b"\n\n")
    assert not listener.is_clean and listener.reading.usage.input == 9


def test_only_the_last_of_repeated_usages_counts():
    chunk = b'data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":%d}}\r\n\r\n'
    last = b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":9}}\r\n\r\n'
    listener = Listener(gemini.EARS)
    listener.feed(chunk % 1 + chunk % 2)
    assert listener.reading.usage.output == 2 and not listener.is_clean
    listener.feed(chunk % 3 + last)
    assert listener.reading.usage.output == 9 and listener.is_clean


def test_an_error_event_is_seen_and_strange_events_pass():
    listener = Listener(anthropic.EARS)
    strange = b'event: message_delta\ndata: {"type":"message_delta","delta":5}\n\ndata: "message_stop"\n\n'
    assert listener.feed(strange) == strange and not listener.error
    listener.feed(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n')
    assert listener.error and not listener.is_clean


def test_a_long_text_of_a_provider_is_cut():
    assert len(cap("x" * 500)) == 128 and cap(None) is None
    assert sse.event_data(b": ping\n\n") is None
