from click.testing import CliRunner

from switchgear.cli.client import Client
from switchgear.cli.model import STRATEGIES, _candidate, model
from switchgear.routing import strategies


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


MODELS = {
    "models": [
        {"name": name, "alias": None, "deployments": ["a/x"], "fallback": [], "source": "file", "health": health}
        for name, health in (
            ("new", {}),
            ("good", {"a/x@c": "ok", "a/x@d": "unknown"}),
            ("half", {"a/x@c": "ok", "b/x@c": "failing"}),
            ("bad", {"a/x@c": "failing"}),
        )
    ],
    "implicit": [],
}


def test_a_models_health_is_that_of_its_deployments(monkeypatch):
    monkeypatch.setattr(Client, "call", lambda *_: MODELS)
    lines = CliRunner().invoke(model, ["list"]).output.splitlines()
    told = {line.split()[0]: line for line in lines}
    assert "failing 1 of 2" in told["half"] and "failing" in told["bad"] and "of" not in told["bad"]
    assert " ok " in told["good"] and "ok" not in told["new"] and "failing" not in told["new"]


def test_health_lists_what_was_counted_of_each_deployment(monkeypatch):
    row = {
        "deployment": "a/x@c", "health": "failing", "attempts": 9, "failures": 7, "outcomes": {"ok": 2, "connect": 7}, "failures_in_row": 6,
        "last_failure": "connect", "last_failure_ms": 0, "last_success_ms": None, "latency_p50_ms": 250, "latency_p95_ms": 500,
        "first_token_p50_ms": None, "since_ms": 0,
    }  # fmt: skip
    monkeypatch.setattr(Client, "call", lambda *_: {"deployments": [row]})
    text = CliRunner().invoke(model, ["health"]).output
    assert "a/x@c" in text and "failing" in text and "connect" in text and "250" in text


def test_the_strategies_that_are_offered_are_those_that_there_are():
    assert list(strategies.STRATEGIES) == STRATEGIES
