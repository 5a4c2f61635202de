from click.testing import CliRunner

from switchgear.cli.client import Client
from switchgear.cli.model import _candidate, model


def test_a_candidate_says_what_it_lacks():
    good = {"credential": "openai/default", "upstream_model": "gpt-4o", "priced": True, "frozen": []}
    assert _candidate(good) == "openai/default → gpt-4o"
    assert _candidate({**good, "priced": False, "frozen": ["all"]}).endswith("(no known price; frozen: all)")


def test_targets_are_tried_in_the_order_in_which_they_are_named(monkeypatch):
    sent = []
    monkeypatch.setattr(Client, "call", lambda _self, method, path, body: sent.append(body))
    for arguments in (["add", "fast", "a/x", "b/y/z"], ["add", "--name", "fast", "a/x", "b/y/z"]):
        assert CliRunner().invoke(model, arguments).output == "added fast → a/x, then b/y/z\n"
    assert sent[0] == sent[1] and b'"tier":2' in sent[0] and b'"y/z"' in sent[0]


def test_a_target_is_a_provider_and_a_model():
    for arguments, said in ((["add", "fast"], "where is it served"), (["add", "fast", "gpt-4o"], "PROVIDER/MODEL")):
        assert said in str(CliRunner().invoke(model, arguments).exception)
