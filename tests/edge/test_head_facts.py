"""What is derived from a head is kept with the head."""

from switchgear.edge.head_facts import HeadFacts
from switchgear.testing.edge import Asked, Dialogue, chat


def test_facts_are_filled_by_the_stages_and_belong_to_the_head():
    talk = Dialogue()
    talk.client >> chat("up/m")
    talk.vault << Asked()
    facts = talk.client.exchange.head.shared.facts
    assert isinstance(facts, HeadFacts) and facts is talk.client.context.facts
    assert (facts.match.endpoint.name, facts.claim.key_id, facts.is_media_good) == ("chat", talk.key.id, True)


def test_a_new_heads_facts_are_all_unknown():
    assert HeadFacts() == HeadFacts(None, None, None, False, None, None)
