"""What a person sees when the gateway is ready. Level 7. A process of its own: it makes a key, the supervisor must not."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from switchgear import __version__
from switchgear.app.layout import data_folder
from switchgear.cli.client import Client
from switchgear.cli.times import expiry
from switchgear.core.errors import UserError

DEMO_KEY = "demo"


def main() -> None:
    """Print the welcome. The key and the sign-in link go to a terminal only, else to a file of mode 0600."""
    data, took, workers, demo, kek = sys.argv[1:6]
    client = Client(Path(data), None)
    status = client.call("GET", "/status")
    program = _program(Path(data))
    token = client.call("POST", "/admin/link")["token"]
    lines = [
        f"Switchgear {__version__} is ready in {took} s ({workers} edge{'s' if workers != '1' else ''}, data in {_short(data)})",
        "",
        f"  API      {status['data_url']}/v1      (Anthropic, Gemini: {status['data_url']})",
    ]
    secret = [f"  Console  {status['console_url']}/setup#{token}  once, 15 min; again: {program('admin link')}"]
    if demo == "demo":
        key = _demo_key(client)
        secret += [
            f"  Key      {key}   demo models only, 24 h",
            "",
            f"  curl -s {status['data_url']}/v1/chat/completions -H 'Authorization: Bearer {key}' \\",
            "    -H 'content-type: application/json' "
            '-d \'{"model":"demo/echo","messages":[{"role":"user","content":"hello"}]}\'',
        ]
    else:
        secret += ["", f"  Key      {program('key create NAME')}"]
    if not sys.stdout.isatty():
        secret = _to_file(Path(data), secret, "and the demo key are" if demo == "demo" else "is")
    lines += secret
    lines += [
        "",
        f"Next  {program('log tail')}",
        f"      {program('credential add openai')}     (asks for the secret; then model openai/gpt-4o-mini)",
    ]
    if kek != "-":
        lines.append(f"Keep the KEK file safe ({kek}): without it stored credentials cannot be opened.")
    lines.append(stopping(status["pids"]["supervisor"]))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def stopping(pid: int) -> str:
    """Say how the gateway ends. A closed terminal sends SIGHUP, by which services read their configuration again (daemon(7))."""
    return f"Ctrl-C drains and stops, as does: kill {pid}     (closing the terminal leaves it running)"


def _demo_key(client: Client) -> str:
    """Make the demo key, or give the one of an earlier start a new secret and another day; the one before holds for a day."""
    body = {"models": ["demo/*"], "expires": expiry("24h")}
    known = {one["name"]: one for one in client.call("GET", "/keys")["keys"]}
    old = known.get(DEMO_KEY)
    if old is None:
        return str(client.call("POST", "/keys", {"name": DEMO_KEY, **body})["key"])
    if old["revoked_ms"] is not None or old["source"] == "file" or old["models"] != body["models"]:
        return str(client.call("POST", "/keys", {"name": f"{DEMO_KEY}-{int(time.time() * 1000):x}", **body})["key"])
    client.call("PATCH", f"/keys/{DEMO_KEY}", body)
    return str(client.call("POST", f"/keys/{DEMO_KEY}/rotate", {"overlap_ms": 86_400_000, "force": True})["key"])


def _to_file(data: Path, lines: list[str], what: str) -> list[str]:
    path = data / "run" / "welcome"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, ("\n".join(lines) + "\n").encode())
    os.close(fd)
    return [f"  The sign-in link (once, 15 min) {what} in {path}"]


def _short(data: str) -> str:
    path = Path(data)
    with contextlib.suppress(ValueError, OSError):
        return f"./{path.relative_to(Path.cwd())}"
    return str(path)


def _program(data: Path) -> Callable[[str], str]:
    """Return how a command is written so that it works where this is read: with --data unless that is the default there."""
    path = Path(sys.executable).with_name("switchgear")
    name = str(path) if path.exists() else "switchgear"
    with contextlib.suppress(ValueError, OSError):
        name = str(path.relative_to(Path.cwd())) if path.exists() else name
    where = "" if data_folder(None, {}) == data.absolute() else f" --data {shlex.quote(_short(str(data)))}"
    return lambda command: f"{shlex.quote(name)} {command}{where}"


if __name__ == "__main__":
    try:
        main()
    except UserError as exc:
        sys.stderr.write(f"switchgear: {exc}\n")
        sys.exit(1)
