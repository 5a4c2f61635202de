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
