"""What is derived from a head is kept with the head."""

from switchgear.edge.head_facts import HeadFacts, facts_of
from switchgear.wire.http1 import SharedHead


def test_facts_are_made_once_per_head():
    shared = SharedHead()
    facts = facts_of(shared)
    assert isinstance(facts, HeadFacts) and facts_of(shared) is facts
    assert facts_of(SharedHead()) is not facts
