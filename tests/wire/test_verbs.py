"""A verb says what travels in both directions."""

from switchgear.wire.verbs import Verb


def test_a_verb_may_be_asked_again_unless_it_says_otherwise():
    assert not Verb("list", type(None), list[str]).once
    assert Verb("relay", str, str, once=True).once


def test_verbs_with_other_types_differ():
    assert Verb("list", type(None), list[str]) == Verb("list", type(None), list[str])
    assert Verb("list", type(None), list[str]) != Verb("list", type(None), list[int])
