"""The README's tour, as a newcomer takes it."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from switchgear.testing.gateway import free_port
from switchgear.testing.patience import PATIENCE_S

ROOT = Path(__file__).parent.parent.parent
SWITCHGEAR = os.environ.get("SWITCHGEAR_PROGRAM", f"{sys.executable} -m switchgear.cli").split()


@pytest.fixture
def demo(tmp_path):
    """`switchgear serve --demo` on a terminal; yields (environment, what it printed)."""
    leader, follower = pty.openpty()
    port, console = free_port(), free_port()
    environ = {
        **os.environ,
        "SWITCHGEAR_LISTEN": f"127.0.0.1:{port}",
        "SWITCHGEAR_CONSOLE": f"127.0.0.1:{console}",
        "SWITCHGEAR_KEK_FILE": str(tmp_path / "kek"),
    }
    process = subprocess.Popen(
        [*SWITCHGEAR, "serve", "--demo"],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    printed, until = "", time.monotonic() + PATIENCE_S
    terminal = select.poll()  # not select(): its descriptors end at 1,023
    terminal.register(leader, select.POLLIN)
    while "Ctrl-C drains" not in printed and time.monotonic() < until:
        if terminal.poll(200):
            printed += os.read(leader, 65536).decode()
    yield environ, printed.replace("\r", ""), tmp_path
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    os.close(leader)


def run(command, cwd, environ, **more):
    return subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **more
    )


def test_the_tour_of_the_readme_works_as_printed(demo):
    environ, printed, folder = demo
    assert re.search(
        r"Switchgear 0\.\d+\.\d+ is ready in \d+\.\d s \(\d+ edges?, data in ./switchgear-data\)", printed
    ), printed
    for text in (
        "API      http://",
        "Console  http://",
        "/setup#",
        "Key      sk-sg-",
        "log tail",
        "credential add openai",
        "Keep the KEK file safe",
    ):
        assert text in printed, printed

    curl = re.search(r"curl -s [^\n]*\\\n[^\n]*", printed).group()
    answer = json.loads(run(["bash", "-c", curl.replace("curl -s", "curl -sS")], folder, environ).stdout)
    assert answer["choices"][0]["message"]["content"] == "hello"
    request_id = None
    for _ in range(30):
        records = json.loads(run([*SWITCHGEAR, "log", "list", "--json"], folder, environ).stdout)["records"]
        if records:
            request_id = records[0]["id"]
            break
        time.sleep(0.1)
    assert "USD/Mtok" in run([*SWITCHGEAR, "log", "show", request_id], folder, environ).stdout
    assert "demo/echo" in run([*SWITCHGEAR, "usage", "--by", "key,model"], folder, environ).stdout

    added = run(
        [*SWITCHGEAR, "credential", "add", "openai", "--from-stdin"], folder, environ, input="sk-tour-secret-abcdefgh\n"
    )
    assert "sealed openai/default (…efgh) for https://api.openai.com/v1" in added.stdout, added.stderr
    made = run([*SWITCHGEAR, "key", "create", "my-app", "--models", "openai/*", "--expires", "90d"], folder, environ)
    assert re.fullmatch(r"sk-sg-\S+\n", made.stdout) and "Copy it now" in made.stderr
    assert (
        "added fast"
        in run([*SWITCHGEAR, "model", "add", "fast", "openai/gpt-4o-mini", "demo/echo"], folder, environ).stdout
    )
    assert "2. demo/none" in run([*SWITCHGEAR, "model", "explain", "fast"], folder, environ).stdout
    readme = (ROOT / "README.md").read_text()
    update = re.search(r"switchgear (key update my-app --models \S+)\n", readme).group(1)
    assert run([*SWITCHGEAR, *shlex.split(update)], folder, environ).returncode == 0
    # The first home is stopped: a test asks nobody outside.
    assert run([*SWITCHGEAR, "freeze", "credential", "openai/default"], folder, environ).returncode == 0
    curl = re.search(r"curl -s \S+/v1/chat/completions [^\n]*\\\n[^\n]*", readme).group()
    curl = curl.replace("127.0.0.1:4100", environ["SWITCHGEAR_LISTEN"]).replace("KEY_OF_MY_APP", made.stdout.strip())
    answer = json.loads(run(["bash", "-c", curl], folder, environ).stdout)
    assert answer["choices"][0]["message"]["content"] == "hello", answer
    thrifty = re.findall(r"switchgear ((?:key create|budget \w+) \S*thrifty[^\n]*)\n", readme)
    create = run([*SWITCHGEAR, *shlex.split(thrifty[0])], folder, environ)
    curl = re.search(r"curl -si \S+/v1/chat/completions [^\n]*THRIFTY[^\n]*\\\n[^\n]*", readme).group()
    curl = curl.replace("127.0.0.1:4100", environ["SWITCHGEAR_LISTEN"]).replace("KEY_OF_THRIFTY", create.stdout.strip())
    refused = run(["bash", "-c", curl], folder, environ).stdout
    assert "insufficient_quota" in refused and "x-switchgear-budget-reset" in refused, refused
    assert "raised: key:thrifty" in run([*SWITCHGEAR, *shlex.split(thrifty[1])], folder, environ).stdout
    assert " 200 OK" in run(["bash", "-c", curl], folder, environ).stdout
    assert "raised by" in run([*SWITCHGEAR, *shlex.split(thrifty[2])], folder, environ).stdout
    assert "frozen: key:my-app" in run([*SWITCHGEAR, "freeze", "key", "my-app", "--for", "15m"], folder, environ).stdout
    assert run([*SWITCHGEAR, "unfreeze", "key", "my-app"], folder, environ).returncode == 0
    assert run([*SWITCHGEAR, "key", "revoke", "my-app", "--yes"], folder, environ).returncode == 0
    assert run(["grep", "-r", "sk-tour-secret", "switchgear-data"], folder, environ).returncode == 1

    key = re.search(r"Key      (sk-sg-\S+)", printed).group(1)
    (folder / "app.env").write_text(f"OPENAI_API_KEY={key}\nOPENAI_BASE_URL=http://{environ['SWITCHGEAR_LISTEN']}/v1\n")
    found = run([*SWITCHGEAR, "discover", "app.env"], folder, {**environ, "XDG_CONFIG_HOME": str(folder / "home")})
    assert found.returncode == 0 and "virtual key " in found.stdout, found.stdout + found.stderr
    assert key[-30:-4] not in found.stdout
    written = re.search(r"printf 'model_list.*litellm\.yaml", (ROOT / "README.md").read_text()).group()
    assert run(["bash", "-c", written], folder, environ).returncode == 0
    line = re.search(r"K=\S+ switchgear (import litellm litellm\.yaml)", readme)
    assert line.group().startswith("K=sk-")
    taken = run([*SWITCHGEAR, *line.group(1).split()], folder, {**environ, "K": line.group()[2:].split()[0]})
    assert taken.returncode == 0 and "1 model, 1 provider, 0 keys: 1 imported" in taken.stdout, taken.stderr
    assert "1 of 1 model will answer" in taken.stdout, taken.stdout
    curl = re.search(r"curl -s \S+/v1/messages [^\n]*\\\n[^\n]*", (ROOT / "README.md").read_text()).group()
    curl = curl.replace("127.0.0.1:4100", environ["SWITCHGEAR_LISTEN"]).replace("sk-sg-…", key)
    answer = json.loads(run(["bash", "-c", curl], folder, environ).stdout)
    assert answer["content"][0]["text"] == "the same model, as Anthropic"
    connected = run([*SWITCHGEAR, "connect", "codex", "--key", key, "--model", "demo/echo", "--check"], folder, environ)
    assert connected.returncode == 0 and connected.stdout.count("✔") == 5, connected.stdout + connected.stderr
    assert "ANTHROPIC_BASE_URL=http://" in run([*SWITCHGEAR, "connect", "claude-code"], folder, environ).stdout
    lines = re.search(r"python -c '([^'\n]*)'\n", readme).group(1)  # one line: it is copied with its indentation
    streamed = run(
        [sys.executable, "-c", lines],
        folder,
        {**environ, "OPENAI_BASE_URL": f"http://{environ['SWITCHGEAR_LISTEN']}/v1", "OPENAI_API_KEY": key},
    )
    assert streamed.stdout.split() == [f"w{n}" for n in range(20)], streamed.stderr


def test_every_command_has_help_with_an_example_or_a_sentence():
    for command in re.findall(r"`switchgear (\w+)`", (ROOT / "README.md").read_text()):
        done = run([*SWITCHGEAR, command, "--help"], ROOT, os.environ)
        assert done.returncode == 0 and "Usage: " in done.stdout, command
    assert run([*SWITCHGEAR], ROOT, os.environ).returncode == 2
    assert "complete" in run([*SWITCHGEAR, "completion", "bash"], ROOT, os.environ).stdout
    assert json.loads(run([*SWITCHGEAR, "config", "schema"], ROOT, os.environ).stdout)["type"] == "object"
