"""The vault's verbs are the same for both ends of the link."""

from switchgear.vault import verbs


def test_names_of_verbs_differ_and_all_may_be_asked_again():
    names = [verb.name for verb in verbs.VERBS]
    assert len(set(names)) == len(names)
    assert not any(verb.once for verb in verbs.VERBS)
