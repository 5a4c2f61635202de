"""How a request ends: what its answer leaves behind."""

import json

import pytest

from switchgear.testing.edge import JSON, SSE, Ask, Asked, Dialogue, Last, Sent, chat
from switchgear.wire import records


def answered(talk, ask, body):
    talk.client >> ask
    talk.vault << Asked() >> JSON >> Last(json.dumps(body).encode())
    talk.client << Sent(200)
    return talk


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def test_a_stored_response_can_be_named_at_once():
    talk = Dialogue(providers={"up": ("responses",)})
    ask = Ask(body=b'{"model":"up/m","input":"x"}', path=b"/v1/responses")
    answered(talk, ask, RESPONSE)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    assert talk.settled.response_id == "resp_1"


@pytest.mark.parametrize(("store", "count"), [(None, 1), (False, 0)])
def test_a_thing_that_an_answer_made_is_whose_request_it_was(store, count):
    talk = Dialogue(providers={"up": ("responses",)})
    body = {"model": "up/m", "input": "x"} | ({} if store is None else {"store": store})
    made = {
        **RESPONSE,
        "output": [{"type": "reasoning", "id": "rs_1", "summary": []}],
        "conversation": {"id": "conv_1"},
    }
    answered(talk, Ask(body=json.dumps(body).encode(), path=b"/v1/responses"), made)
    assert len(talk.recorded(records.Kept)) == count


def test_an_answer_of_another_model_is_priced_by_its_name():
    talk = Dialogue(snapshot={"price_overrides": {}})
    answer = {"id": "c", "model": "other", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}
    answered(talk, chat("up/m"), answer)
    assert talk.settled.cost_nanousd is None


def test_tools_that_ran_in_a_stream_are_counted_as_in_a_plain_answer():
    talk = Dialogue(providers={"up": ("anthropic",)})
    body = {"model": "up/m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    talk.client >> Ask(body=json.dumps(body).encode(), path=b"/v1/messages")
    talk.vault << Asked()
    talk.vault >> SSE
    usage = {"output_tokens": 5, "server_tool_use": {"web_search_requests": 3}}
    for event in (
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 2}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ):
        talk.vault >> f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    talk.vault >> Last()
    assert talk.settled.units == {"web_searches": 3}
