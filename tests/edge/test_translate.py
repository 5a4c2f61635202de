"""What an attempt asks, and which deployments cannot be asked."""

import json
from types import SimpleNamespace

import msgspec
import pytest

from switchgear.core import problems
from switchgear.core.steps import finish
from switchgear.dialects.registry import DEFAULT
from switchgear.dialects.request_reader import parse
from switchgear.edge import translate
from switchgear.edge.context import RequestContext
from switchgear.edge.course import Course
from switchgear.edge.paths import Endpoint
from switchgear.edge.resolver import PricedDeployment
from switchgear.routing.table import Deployment, ProviderEntry, Timeouts


def priced(dialect, **more):
    provider = ProviderEntry(name=dialect, dialects=(dialect,), credentials=("c",))
    return PricedDeployment(Deployment(provider, "c", "m", None, Timeouts(), **more), f"{dialect}/c", None, b"", {}, {})


def asked(body, *deployments, operation="chat", room=1 << 30):
    raw = json.dumps({"model": "m", **body}).encode()
    exchange = SimpleNamespace(head=SimpleNamespace(target=b"/"), hold=lambda size: size <= room)
    context = RequestContext(exchange, "r", 0, 0.0)
    context.request, context.bytes_in = parse(raw, "openai", operation), len(raw)
    context.endpoint = Endpoint(operation, b"POST", operation, DEFAULT, f"/{operation}")
    return context, Course(deployments, 0, 1.0)


CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def test_the_body_goes_verbatim_to_a_provider_of_the_clients_dialect():
    context, course = asked(CHAT, priced("openai"))
    assert translate.prepare(context, course) is None and context.translation.is_verbatim


def test_a_deployment_that_cannot_be_asked_is_passed_over():
    context, course = asked({"prompt": "x"}, priced("anthropic"), priced("openai"), operation="completions")
    assert translate.prepare(context, course) is None
    assert course.current.credential_id == "openai/c" and not course.has_next


def test_a_request_that_nobody_can_be_asked_is_refused():
    context, course = asked({"prompt": "x"}, priced("anthropic"), operation="completions")
    assert translate.prepare(context, course).case is problems.UNSUPPORTED


@pytest.mark.parametrize("steps", [False, True])
def test_a_strict_model_refuses_what_would_be_lost(steps):
    context, course = asked({**CHAT, "seed": 1}, priced("anthropic", strict=True))
    problem = finish(translate.prepare_steps(context, course)) if steps else translate.prepare(context, course)
    assert problem.case is problems.INVALID_BODY and "seed" in problem.message


@pytest.mark.parametrize("room", [10**6, 10])
def test_a_large_translation_is_held_or_refused(room):
    body = {"messages": [{"role": "user", "content": "x" * 200_000}]}
    context, course = asked(body, priced("anthropic"), priced("openai"), room=room)
    context.request.scan = parse_large(json.dumps({"model": "m", **body}).encode())
    problem = finish(translate.prepare_steps(context, course))
    assert (problem is None) is (room > 10) and course.has_next
    assert problem is None or problem.case is problems.OVERLOADED


def parse_large(raw):
    from switchgear.dialects.json_guard import scan_steps

    return finish(scan_steps(raw))


@pytest.mark.parametrize(("value", "sent"), [(b"x-1, context-1m-2025-08-07,context-1m-2025-08-07 ,", ["context-1m-2025-08-07"]), (b"", None)])  # fmt: skip
def test_what_a_client_asks_for_in_a_header_goes_to_bedrock_in_the_body(value, sent):
    deployment = priced("bedrock")
    claude = msgspec.structs.replace(deployment.deployment, upstream_model="anthropic.claude-sonnet-4-5-20250929-v1:0")
    context, course = asked(CHAT, msgspec.structs.replace(deployment, deployment=claude))
    context.exchange.head.headers = {b"anthropic-beta": value} if value else {}
    assert translate.prepare(context, course) is None
    body = context.translation.body
    found = json.loads(body if isinstance(body, bytes) else b"".join(body))
    assert found.get("additionalModelRequestFields", {}).get("anthropic_beta") == sent
