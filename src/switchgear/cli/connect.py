"""`switchgear connect …`. Level 7: exact settings of a client for this gateway, written into its file, and checked."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from switchgear.cli.base import Choice, Column, Output, examples, near, note, say, with_client
from switchgear.cli.client import Client
from switchgear.cli.output import tidy
from switchgear.core.errors import UserError
from switchgear.dialects import client_setup
from switchgear.dialects.client_setup import CLIENT_SETUPS, ClientSetup


@click.command(
    epilog=examples(
        "switchgear connect claude-code",
        "switchgear connect codex --key sk-sg-… --model demo/echo --check",
        "switchgear connect claude-code --key sk-sg-… --model anthropic/claude-sonnet-4-5 --write",
    )
)
@click.argument(
    "client_name",
    metavar="[CLIENT]",
    required=False,
    type=Choice(list(CLIENT_SETUPS), "client", {"claude": "claude-code", "gemini": "gemini-cli"}),
)
@click.option("--key", envvar="SWITCHGEAR_KEY", default="sk-sg-…", help="The virtual key that the client gets.")
@click.option("--model", default="demo/echo", show_default=True, help="The model that it asks for.")
@click.option("--url", help="The gateway's address as the client reaches it; default: the data plane of this gateway.")
@click.option("--print", "action", flag_value="print", default=True, help="Print the settings (the default).")
@click.option(
    "--write", "action", flag_value="write", help="Write them into the client's file; what it held is kept beside it."
)
@click.option("--check", "action", flag_value="check", help="Ask the gateway as the client would, with this key.")
@with_client
def connect(
    client: Client, out: Output, client_name: str | None, key: str, model: str, url: str | None, action: str
) -> None:
    """Point a client at this gateway. Without a name, list the clients that are known."""
    if client_name is None:
        known = [{"client": name, "title": setup.title, "file": setup.file} for name, setup in CLIENT_SETUPS.items()]
        columns = (Column("CLIENT", "client", "id"), Column("TITLE", "title"), Column("FILE", "file"))
        out.rows({"clients": known}, known, columns)
        return
    setup = CLIENT_SETUPS[client_name]
    root = (url or client.call("GET", "/status")["data_url"]).rstrip("/").removesuffix("/v1")
    if not root.startswith(("http://", "https://")):
        raise UserError(f"--url {url!r} must begin with http:// or https://", "e.g. http://127.0.0.1:4100", 2)
    if url is None and action != "check":
        _warn_of_a_model_that_is_not_there(client, model)
    if action == "print":
        out.no_csv("these are settings")
        text = client_setup.render(setup, root, key, model)
        settings = {name: client_setup.fill(value, root, key, model) for name, value in setup.env}
        out.one(
            {"client": setup.name, "title": setup.title, "file": setup.file, "env": settings, "text": text},
            text.rstrip("\n"),
        )
        return
    if key == "sk-sg-…":
        raise UserError(
            "a virtual key is needed", "switchgear key create NAME prints one; give it as --key or SWITCHGEAR_KEY", 2
        )
    if action == "write":
        paths = write(setup, root, key, model)
        holds = any(key in path.read_text("utf-8") for path in paths)
        said = (
            "mode 0600: it holds the key"
            if holds
            else f"the key is not in it; {setup.title} reads it from its environment"
        )
        names = [str(path) for path in paths]
        out.one({"file": names[0], "files": names, "holds_key": holds}, f"wrote {' and '.join(names)} ({said})")
        return
    rows = check(setup.dialect, root, key, model)
    failed = [row for row in rows if row["ok"] is False]
    if out.for_people:
        for row in tidy(rows):
            say(f"{_MARKS[row['ok']]} {row['step']:<12} {row['detail']}")
    else:
        out.rows({"checks": rows}, rows, (Column("STEP", "step"), Column("OK", "ok"), Column("DETAIL", "detail")))
    if failed:
        sys.exit(1)


def _warn_of_a_model_that_is_not_there(client: Client, model: str) -> None:
    with contextlib.suppress(UserError):  # settings can be written by who may not look at models
        found = client.call("GET", "/models/explain", model=model)
        if found.get("frozen"):
            note(f"warning: {model!r} is frozen now ({', '.join(found['frozen'])}): switchgear status")
        elif not found["callable"]:
            known = [one["name"] for one in client.call("GET", "/models")["models"]]
            meant = near(model, known)
            note(
                f"warning: nothing is served as {model!r} now{meant}; another one: --model NAME (switchgear model list)"
            )


_MARKS = {True: "✔", False: "✗", None: "–"}


def write(setup: ClientSetup, root: str, key: str, model: str) -> list[Path]:
    """Write a client's files, and return them. JSON is merged, variables are replaced, tables are added once; an old file
    is kept as `NAME.before-switchgear`. Raises UserError where the client has no file, or one cannot be merged."""
    if not setup.files:
        raise UserError(
            f"{setup.title} keeps its settings elsewhere", f"switchgear connect {setup.name} --print shows them", 2
        )
    merged = []
    for one in setup.files:
        path = Path(one.file).expanduser()
        old = path.read_text("utf-8") if path.exists() else ""
        if one.form == "env":
            text = _merge_env(old, [(name, client_setup.fill(value, root, key, model)) for name, value in setup.env])
        else:
            new = client_setup.fill(one.text, root, key, model)
            text = _merge_json(path, old, new) if one.form == "json" else _merge_text(path, old, new)
        merged.append((path, old, text))
    for path, old, text in merged:
        if old and old != text:
            _save(path.with_name(path.name + ".before-switchgear"), old)
        _save(path, text)
    return [path for path, _, _ in merged]


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, 0o600)  # a file that was there keeps its mode otherwise
        file.write(text)


def _merge_env(old: str, values: list[tuple[str, str]]) -> str:
    names = {name for name, _ in values}
    kept = [line for line in old.splitlines() if line.partition("=")[0].strip() not in names]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in values)]) + "\n"


def _merge_json(path: Path, old: str, new: str) -> str:
    try:
        before = json.loads(old) if old.strip() else {}
    except ValueError as exc:
        raise UserError(f"{path} is not plain JSON: {exc}", "add the settings by hand: --print shows them") from None
    return json.dumps(_merged(before, json.loads(new)), indent=2) + "\n"


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {name: _merged(old.get(name), value) for name, value in new.items()}
    return new


def _merge_text(path: Path, old: str, new: str) -> str:
    if old.strip() and old != new:
        raise UserError(f"{path} exists and cannot be merged", "add the settings by hand: --print shows them")
    return new


# Asking as the client would


def check(dialect: str, root: str, key: str, model: str) -> list[dict[str, Any]]:
    """Walk models, a plain answer, a stream, a tool call and a token count; `ok` None means that the dialect has none."""
    from switchgear.dialects.registry import BY_NAME  # noqa: PLC0415 - for --check only

    row = BY_NAME[dialect]
    rows: list[dict[str, Any]] = []
    for field in _STEPS:
        step, example = field.replace("_", " "), getattr(row.examples, field)
        if example is None:
            rows.append({"step": step, "ok": None, "detail": "this client has no such call"})
            continue
        given = json.dumps(example.body).replace("{model}", model) if example.body is not None else None
        path = example.path.replace("{model}", model)
        bears = {row.key_header: f"Bearer {key}" if row.key_header == "authorization" else key}
        bears |= {name.decode(): value.decode() for name, value in row.headers}
        status, answer = _ask(root + path, given, bears)
        ok = status == 200 and example.marker in answer
        why = "the model answered without a call" if field == "tool_call" and status == 200 else answer[:200]
        rows.append(
            {
                "step": step,
                "ok": ok,
                "detail": f"{path.replace('{model}', model)} → {status}" + ("" if ok else f": {why}"),
            }
        )
    return rows


_STEPS = ("models", "plain", "stream", "tool_call", "token_count")


def _ask(url: str, body: str | None, bears: dict[str, str]) -> tuple[int, str]:
    import urllib.error  # noqa: PLC0415 - for --check only
    import urllib.request  # noqa: PLC0415

    headers = {"content-type": "application/json", "user-agent": "switchgear-connect"} | bears
    request = urllib.request.Request(url, body.encode() if body is not None else None, headers)  # noqa: S310  the operator's own URL
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read(1 << 20).decode("utf-8", "replace")
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read(4096).decode("utf-8", "replace")
    except OSError as exc:
        return 0, str(exc)
