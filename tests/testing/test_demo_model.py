"""The demo model is deterministic and does what a test asks of a model."""

import json

import msgspec

from switchgear.dialects import hub
from switchgear.testing import demo_model


def ask(*parts, **fields):
    request = hub.Request(model="m", messages=[hub.Message("user", list(parts))], **fields)
    return demo_model.answer(request, "anthropic")


def test_the_demo_model_echoes_counts_and_stops_at_a_limit():
    answer = ask(hub.Text("one two three"))
    assert hub.text_of(answer.parts) == "one two three" and answer.usage.input == 3 and answer.usage.output == 3
    cut = ask(hub.Text("one two three"), max_tokens=2)
    assert hub.text_of(cut.parts) == "one two" and cut.finish == "length"


def test_the_demo_model_calls_its_tools_once():
    tool = hub.Tool("f", None, msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer"}}}'))
    answer = ask(hub.Text("x"), tools=[tool])
    assert json.loads(answer.parts[0].arguments) == {"n": 1} and answer.finish == "tool_calls"
    assert hub.text_of(ask(hub.ToolResult("1", [hub.Text("sun")]), tools=[tool]).parts) == "tool said: sun"
    assert ask(hub.Text("x"), tools=[tool], choice=hub.ToolChoice("none")).finish == "stop"


def test_the_demo_model_thinks_and_fills_schemas():
    assert isinstance(ask(hub.Text("x"), reasoning=hub.Reasoning("low")).parts[0], hub.Thinking)
    schema = msgspec.Raw(
        b'{"type":"object","properties":{"a":{"enum":["z"]},"b":{"type":"array","items":{"type":"boolean"}}}}'
    )
    assert json.loads(hub.text_of(ask(hub.Text("x"), format=hub.JsonFormat(schema)).parts)) == {"a": "z", "b": [True]}
