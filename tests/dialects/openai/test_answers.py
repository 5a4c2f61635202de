"""Openai: answers."""

from switchgear.dialects import hub
from switchgear.dialects.openai import answers, requests
from switchgear.dialects.shape import Node


def test_signed_thinking_survives_a_chat_client():
    answer = hub.Answer(parts=[hub.Thinking("hm", "sig", maker="anthropic"), hub.Text("x")])
    message = answers.encode_answer(answer, "m", 1)["choices"][0]["message"]
    request = requests.decode_request(Node({"messages": [message]}), "m", False)
    thought = request.messages[0].parts[0]
    assert (thought.text, thought.signature, thought.maker) == ("hm", "sig", "anthropic")
