"""What travels through the stages: empty at the head, each field filled by one that its comment names."""

import re
from pathlib import Path

import msgspec
import pytest

from switchgear.edge import context as module
from switchgear.edge.context import RequestContext
from switchgear.edge.pipeline import HEAD_STAGES, STAGES

SOURCE = Path(module.__file__).read_text()
FILLERS = {stage.__name__ for stage in (*HEAD_STAGES, *STAGES)} | {
    "translate",
    "handler",
    "pipeline",
    "standing",
    "transfer",
}
GIVEN = ("exchange", "id", "now_ms", "started_s")


def made(request_id="r1"):
    return RequestContext(object(), request_id, 1_790_000_000_000, 5.0)


def test_a_new_context_knows_what_its_head_gave_and_nothing_else():
    context = made()
    assert (context.id, context.now_ms, context.started_s) == ("r1", 1_790_000_000_000, 5.0)
    assert not context.endpoint.needs_key and context.client == module.NO_CLAIMS
    filled = {"exchange", "id", "now_ms", "started_s", "facts", "endpoint", "client", "media"}
    for name in set(context.__struct_fields__) - filled:
        assert not getattr(context, name), name


def test_two_requests_share_no_list_and_no_facts():
    one, other = made(), made()
    one.attempts.append("ended")
    one.facts.forwarded = ("openai", ())
    assert other.attempts == [] and other.facts.forwarded is None


def test_a_context_is_itself_only_and_can_be_kept_in_a_set():
    one, other = made(), made()
    assert one != other and len({one, other, one}) == 2


@pytest.mark.parametrize("field", msgspec.structs.fields(RequestContext), ids=lambda field: field.name)
def test_every_field_names_who_fills_it(field):
    if field.name in GIVEN:
        assert field.required
        return
    found = re.search(rf'^    {field.name}: [^\n]+\n    """([a-z_, ]+?)(?::|"""|\.)', SOURCE, re.M)
    assert found, f"{field.name} does not say who fills it"
    named = found[1].split(", ")
    assert set(named) <= FILLERS or named == ["whoever refuses"], named
