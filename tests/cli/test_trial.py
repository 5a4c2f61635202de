from switchgear.cli import trial


def explained(*places):
    return {"candidates": [{"credential": f"{p}/default", "provider": p, "upstream_model": m} for p, m in places]}


def test_each_deployment_is_asked_for_once():
    assert trial.targets_of("fast", explained(("openai", "a"), ("demo", "echo"), ("openai", "a"))) == [
        "fast",
        "openai/a",
        "demo/echo",
    ]
    assert trial.targets_of("demo/echo", explained(("demo", "echo"))) == ["demo/echo"]
    assert trial.targets_of("demo/echo", explained(("demo", "echo"), ("x", "y"))) == ["demo/echo", "x/y"]


def test_an_errors_words_are_shown_whatever_its_shape():
    assert trial._error(b'{"error": {"message": "no"}}') == "no"
    assert trial._error(b'{"error": "no"}') == "no"
    assert trial._error(b"<html>" + b"x" * 1000).startswith("<html>") and len(trial._error(b"x" * 1000)) == 300
    assert trial._error(b"[]") == "[]"


class FakeClient:
    """Answers as a gateway with one model of two credentials, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def call(self, method, path, body=None, **query):
        self.asked.append((method, path, body))
        if path == "/models/explain":
            found = [{"deployment": f"p/m@{c}", "credential": f"p/{c}", "upstream_model": "m"} for c in "ab"]
            return {"candidates": found, "steps": []}
        return {"key": "sk", "data_url": "http://127.0.0.1:1"}


def test_deployments_that_differ_by_their_credential_are_asked_each_by_a_key_that_requires_it(monkeypatch):
    client, sent = FakeClient(), []

    def ask(root, key, target, kind, shown=None):
        sent.append((target, shown, client.asked[-1][2].get("require")))
        return {}

    monkeypatch.setattr(trial, "_ask", ask)
    trial.run(client, "fast", None, None, "chat")
    assert sent == [
        ("fast", None, None),
        ("fast", "p/m@a", {"deployment": "p/m@a"}),
        ("fast", "p/m@b", {"deployment": "p/m@b"}),
    ]
    assert client.asked[-1][1].endswith("/revoke")
