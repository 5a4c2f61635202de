"""Records for people and for shells."""

import datetime
import json
import shlex
import subprocess

import pytest

from switchgear.cli import log
from switchgear.cli.output import Output


def record(**more):
    base = {
        "id": "01a2088ac0702d259910dbac00000001", "time": "2026-11-26T17:50:19.000Z", "outcome": "upstream_error", "status": 502, "operation": "chat",
        "key": {"id": "k1", "name": "ci"}, "team": {"id": "t", "name": "research"}, "user": None, "client": None, "client_ip": "127.0.0.1", "model": "fast",
        "deployment": "up/m@default", "provider": "up", "upstream_model": "m", "stream": False, "error": {"code": "upstream_error", "message": "it said no"},
        "cost_lines": [], "cost_nanousd": None, "cost_estimated": False, "estimate_reason": None, "latency_ms": 12, "tokens": None, "dialect": "openai", "path": "/chat/completions",
        "attempts": [{"id": "a-1", "deployment": "up/m@default", "upstream_model": "m", "status": None, "error": "connect", "timings": None}],
    }  # fmt: skip
    return base | more


def shown(capsys, found):
    log._show(Output("table", datetime.UTC), found)
    return capsys.readouterr().out


def test_a_record_shows_no_internals(capsys):
    text = shown(capsys, record())
    assert "None" not in text and "nanousd" not in text and "no answer  connect" in text
    assert "2026-11-26 17:50:19 +00:00" in text and "team research" in text


def test_cost_lines_add_up_to_the_cost_that_is_shown(capsys):
    line = {"meter": "input", "quantity": 1_000_000, "unit": "tokens", "unit_price": "1", "cost_nanousd": 10**9}
    discount = {
        "meter": "discount",
        "quantity": 1000,
        "unit": "basis_points",
        "unit_price": "",
        "cost_nanousd": -(10**8),
    }
    text = shown(capsys, record(cost_lines=[line, discount], cost_nanousd=9 * 10**8))
    assert "10% = -0.10 USD" in text and "cost 0.90 USD" in text and text.count("discount") == 1
    text = shown(capsys, record(cost_lines=[line], cost_nanousd=9 * 10**8))
    assert "discount" in text and "-0.10 USD" in text


def test_a_line_of_the_tail_says_who_where_and_what_went_wrong():
    text = log.line_of(Output("table", datetime.UTC), record())
    for part in ("research/ci", "→ up", "upstream_error: it said no", "502", "11-26 17:50:19Z", record()["id"]):
        assert part in text


EVIL = [
    "x'; touch INJECTED; '",
    "$(touch INJECTED)",
    "`touch INJECTED`",
    'a"b',
    "a\\",
    "a\nb",
    "-K/etc/passwd",
    "ü/x y",
    "{model}",
    "'\"$",
]


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "bedrock", "responses"])
@pytest.mark.parametrize("model", EVIL)
def test_the_curl_of_a_record_runs_nothing_of_a_clients(tmp_path, model, dialect):
    found = record(model=model, dialect=dialect, path=f"/models/{{model}}:generateContent?x={model}")
    text = log.curl_of(found, "http://127.0.0.1:4100")
    (tmp_path / "curl").write_text('#!/bin/sh\nfor a in "$@"; do printf \'%s\\0\' "$a"; done > args\n')
    (tmp_path / "curl").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SWITCHGEAR_KEY": "sk-sg-x"}
    done = subprocess.run(
        ["/bin/sh", "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["args", "curl"]
    arguments = (tmp_path / "args").read_text().split("\0")
    assert arguments[0] == "-s" and arguments[1].startswith("http://127.0.0.1:4100/v1/")
    assert arguments[arguments.index("-H") + 1] == "Authorization: Bearer sk-sg-x"
    body = json.loads(arguments[arguments.index("-d") + 1])
    assert body.get("model", model) == model or model == "{model}"
    assert shlex.split(text)
