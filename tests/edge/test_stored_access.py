"""Whose a named thing is decides where a request may go."""

from types import SimpleNamespace

import pytest

from switchgear.core.problems import Problem
from switchgear.dialects.references import Reference
from switchgear.edge import stored_access
from switchgear.edge.context import Halt
from switchgear.edge.resolver import Resolution
from switchgear.edge.stored_things import WAITS
from switchgear.replica.entries import KeyEntry, StoredThing
from switchgear.routing.table import Deployment, ProviderEntry, Timeouts


def priced(provider, credential, dialect="responses"):
    entry = ProviderEntry(name=provider, dialects=(dialect,), credentials=(credential,))
    return SimpleNamespace(
        deployment=Deployment(entry, credential, "m", None, Timeouts()), credential_id=f"{provider}/{credential}"
    )


HERE, THERE, OTHER = priced("a", "one"), priced("a", "two"), priced("b", "one", "openai")


def bind(*references, stored=None, rules=None, lookups=WAITS, deployments=(HERE, THERE, OTHER)):
    request = SimpleNamespace(references=list(references), dialect="responses", operation="chat")
    context = SimpleNamespace(request=request, key=KeyEntry("k", "k", 1, [], passthrough=rules), stored_lookups=lookups)
    things = SimpleNamespace(find=lambda key, name: (stored or {}).get(name))
    return stored_access.bind(things, context, Resolution(0, None, deployments, None))


def test_a_reference_to_a_stored_thing_binds_the_request_to_the_credential_that_made_the_thing():
    found = bind(Reference("file", "f", "p"), stored={"f": StoredThing("team:t", "a/two", "m", 1)})
    assert found.deployments == (THERE,)


def test_nobodys_thing_is_waited_for_and_then_404():
    assert bind(Reference("file", "f", "p"), lookups=0) is Halt.WAIT
    found = bind(Reference("file", "f", "p"))
    assert isinstance(found, Problem) and found.case.status == 404
    assert "PROVIDER GET /files/f" in found.message


def test_a_reference_that_can_be_no_id_is_refused_at_once():
    assert isinstance(bind(Reference("file", "f x", "p"), lookups=0), Problem)


def test_things_at_two_places_go_together_nowhere():
    stored = {"f": StoredThing("t", "a/one", "m", 1), "g": StoredThing("t", "a/two", "m", 1)}
    found = bind(Reference("file", "f", "p"), Reference("file", "g", "p"), stored=stored)
    assert isinstance(found, Problem) and "another provider" in found.message


@pytest.mark.parametrize(
    ("rule", "is_given"),
    [("a GET /files/f", True), ("a GET /files/*", False), ("a POST /files/f", False), ("b GET /files/f", True)],
)
def test_a_rule_that_reads_the_very_thing_gives_it_at_its_provider(rule, is_given):
    found = bind(Reference("file", "f", "p"), rules=[rule])
    if is_given:
        assert {t.deployment.provider.name for t in found.deployments} == {rule[0]}
    else:
        assert isinstance(found, Problem)


def test_reasoning_without_its_content_goes_where_it_is_not_looked_up():
    soft = Reference("item", "rs_1", "input.id", is_soft=True)
    assert bind(soft).deployments == (OTHER,)
    assert isinstance(bind(soft, deployments=(HERE,)), Problem)


def test_a_thing_that_a_request_named_keeps_its_owner():
    context = SimpleNamespace(request=SimpleNamespace(references=[Reference("conversation", "c", "p")]))
    assert stored_access.kept(context, ["r", "c"]) == ["r"]


def test_a_stored_response_that_is_nobodys_leads_nowhere():
    found = bind(Reference("response", "resp_1", "id"), deployments=())
    assert isinstance(found, Problem) and found.case.status == 404
