"""The demo model is deterministic and does what a test asks of a model."""

import json

import msgspec

from switchgear.dialects import canonical
from switchgear.testing import demo_model


def ask(*parts, **fields):
    request = canonical.Request(model="m", messages=[canonical.Message("user", list(parts))], **fields)
    return demo_model.answer(request, "anthropic")


def test_the_demo_model_echoes_counts_and_stops_at_a_limit():
    answer = ask(canonical.Text("one two three"))
    assert canonical.text_of(answer.parts) == "one two three" and answer.usage.input == 3 and answer.usage.output == 3
    cut = ask(canonical.Text("one two three"), max_tokens=2)
    assert canonical.text_of(cut.parts) == "one two" and cut.finish == "length"


def test_the_demo_model_calls_its_tools_once():
    tool = canonical.Tool("f", None, msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer"}}}'))
    answer = ask(canonical.Text("x"), tools=[tool])
    assert json.loads(answer.parts[0].arguments) == {"n": 1} and answer.finish == "tool_calls"
    assert (
        canonical.text_of(ask(canonical.ToolResult("1", [canonical.Text("sun")]), tools=[tool]).parts)
        == "tool said: sun"
    )
    assert ask(canonical.Text("x"), tools=[tool], choice=canonical.ToolChoice("none")).finish == "stop"


def test_the_demo_model_thinks_and_fills_schemas():
    assert isinstance(ask(canonical.Text("x"), reasoning=canonical.Reasoning("low")).parts[0], canonical.Thinking)
    schema = msgspec.Raw(
        b'{"type":"object","properties":{"a":{"enum":["z"]},"b":{"type":"array","items":{"type":"boolean"}}}}'
    )
    assert json.loads(canonical.text_of(ask(canonical.Text("x"), format=canonical.JsonFormat(schema)).parts)) == {
        "a": "z",
        "b": [True],
    }
