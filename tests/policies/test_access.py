"""Who may call what."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.policies import access


def test_an_expired_or_revoked_key_is_refused():
    assert access.check_key_times(False, None, 5) is None
    assert access.check_key_times(False, 6, 5) is None
    assert "expired" in access.check_key_times(False, 5, 5).message
    assert "revoked" in access.check_key_times(True, None, 5).message


def test_freezes_end_by_themselves():
    assert access.check_frozen({"key:a": 10}, ["all", "key:a"], 9).case.status == 403
    assert access.check_frozen({"key:a": 10}, ["all", "key:a"], 10) is None
    assert access.check_frozen({"all": None}, ["all", "key:b"], 10**15).case.status == 403


def test_an_address_outside_the_keys_networks_is_refused():
    assert access.check_address(None, "1.2.3.4") is None
    assert access.check_address(["10.0.0.0/8"], "10.1.2.3") is None
    assert access.check_address(["10.0.0.0/8"], "::ffff:10.1.2.3") is None
    assert access.check_address(["10.0.0.0/8"], "11.1.2.3").case.status == 403
    assert access.check_address(["10.0.0.0/8"], None).case.status == 403
    assert access.check_address(["garbage"], "10.0.0.1").case.status == 403


def test_a_model_outside_the_keys_list_may_not_be_called():
    assert access.may_call("a", None)
    assert access.may_call("openai/gpt-4o", ["openai/*"])
    assert not access.may_call("groq/x", ["openai/*", "fast"])
    assert not access.may_call("a", [])


@given(st.text(max_size=200))
def test_an_unknown_model_is_404_with_a_bounded_message(name):
    problem = access.model_not_found(name, ["fast", "openai/gpt-4o"])
    assert problem.case.status == 404
    assert len(problem.message) < 900


def test_the_nearest_allowed_model_is_suggested():
    assert "'openai/gpt-4o'" in access.model_not_found("openai/gpt4o", ["fast", "openai/gpt-4o"]).message


def test_names_frozen_of_a_kind_are_those_still_in_force():
    freezes = {"model:a": None, "model:b": 10, "key:a": None, "model:c:d": 20}
    assert access.frozen_names(freezes, "model", 10) == ("a", "c:d")


def test_a_model_must_be_on_each_of_several_lists():
    assert access.may_call_all("openai/gpt-4o", [["openai/*"], None, ["*gpt*"]])
    assert not access.may_call_all("openai/o3", [["openai/*"], None, ["*gpt*"]])
    assert access.may_call_all("anything", []) and not access.may_call_all("anything", [[]])
