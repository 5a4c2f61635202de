"""How commands reach control: the Unix socket of a data folder, or a URL with SWITCHGEAR_TOKEN. Level 7.

No command hangs: what is not answered within PATIENCE_S is looked into on a second connection, and given up after GIVE_UP_S
unless control answers there (then it works, and the answer is waited for).
"""

import fcntl
import json
import os
import select
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from switchgear.app.layout import Layout, data_folder
from switchgear.cli.output import note, tidy
from switchgear.core.errors import DeniedError, UserError

if TYPE_CHECKING:
    import http.client

PATIENCE_S = 2.0
GIVE_UP_S = 9.0
WORK_S = 600.0
"""How long an answer is waited for while control lives: an import, a ledger that is added up."""
INSIST_S = 25.0
"""A control without a sign of life is replaced after 6 s (app/lifesign), and starts within a few more."""
CONNECT_S = 5.0
PROBE_S = 0.5
READ_S = 30.0
"""How long a pause within an answer may last."""
WRONG_USE_EXIT = 2


class Client:
    """One command's way to the gateway. With `tidied`, texts of answers are harmless for a terminal and one line each."""

    def __init__(self, data: Path | None, server: str | None, tidied: bool = False) -> None:
        self.layout = Layout(data_folder(data, dict(os.environ)))
        self.server = server.rstrip("/") if server else None
        self._tidied = tidied
        self._has_warned = False

    def call(self, method: str, path: str, body: Any = None, *, give_up_s: float = GIVE_UP_S, **query: Any) -> Any:
        """Call the admin API; returns the decoded answer. Raises UserError."""
        answer = self.exact(method, path, body, give_up_s=give_up_s, **query)
        return tidy(answer) if self._tidied else answer

    def exact(self, method: str, path: str, body: Any = None, *, give_up_s: float = GIVE_UP_S, **query: Any) -> Any:
        """Call the admin API; returns the decoded answer as it came, for what is sent back. Raises UserError."""
        import http.client  # noqa: PLC0415 - 20 ms that `--help` does without

        asked = {name: str(value) for name, value in query.items() if value is not None}
        target = f"/api/v1{path}" + (f"?{urlencode(asked)}" if asked else "")
        raw = body if isinstance(body, bytes) else (json.dumps(body).encode() if body is not None else None)
        if method != "GET" and _may_repeat(method, path):
            give_up_s = INSIST_S
        until_s = time.monotonic() + give_up_s
        while True:
            connection = None
            try:
                connection = self._connected(give_up_s)
                connection.request(method, target, raw, self._headers())
                self._wait(connection, give_up_s)
                response = connection.getresponse()
                return self._read(response, response.read())
            except TimeoutError:
                raise UserError(f"{self._who} stopped in the middle of an answer", self._hint()) from None
            except (OSError, http.client.HTTPException) as exc:
                is_lost = _may_repeat(method, path) and self.server is None and isinstance(exc, ConnectionError)
                if not is_lost or time.monotonic() > until_s:  # control is replaced
                    raise self._failed(exc) from None
                time.sleep(0.05)
            finally:
                if connection is not None:
                    connection.close()

    def _read(self, response: "http.client.HTTPResponse", data: bytes) -> Any:
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        said = answer.get("error") if isinstance(answer, dict) else None
        # A record has an `error` of its own: only what is refused says in which shape it is refused.
        if response.getheader("x-switchgear-error") or (response.status >= 400 and isinstance(said, dict)):
            raise UserError(
                f"{self.server} is the data plane of a gateway, not its console",
                "give the console's address, by default port 4101: `switchgear status` there shows it",
                2,
            )
        if response.status < 300 and answer is not None:
            return answer
        if not isinstance(said, str):
            raise UserError(
                f"{self._who} answered {response.status} without what a console of Switchgear says", self._hint()
            )
        if self.server is not None and response.status == 401:
            raise UserError(
                "the token in SWITCHGEAR_TOKEN is not valid there, or has expired",
                "make one on the gateway's machine: switchgear token create NAME --role admin",
            )
        hint = str(answer.get("hint") or "")
        if self.server is not None and response.status == 421:
            hint = "use 127.0.0.1 or localhost, e.g. through: ssh -L 4101:127.0.0.1:4101 HOST"
        if response.status == 403:
            raise DeniedError(said, hint or "use a token of another role: switchgear token create NAME --role R")
        raise UserError(said, hint, WRONG_USE_EXIT if answer.get("wrong_use") else 1)

    # connections

    def _headers(self) -> dict[str, str]:
        token = self._token() if self.server is not None else _read_token(self.layout.cli_token)
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def _token(self) -> str:
        token = os.environ.get("SWITCHGEAR_TOKEN", "").strip()
        if not token:
            raise UserError("SWITCHGEAR_TOKEN is not set", "export the admin token (sgat-…) before using --server", 2)
        if not token.startswith("sgat-") or not token.isascii() or not token.isprintable():
            what = "a virtual key" if token.startswith("sk-sg-") else "no admin token"
            raise UserError(
                f"SWITCHGEAR_TOKEN holds {what}",
                "admin tokens begin with sgat-: switchgear token create NAME --role R",
                2,
            )
        return token

    def _connected(self, give_up_s: float) -> "http.client.HTTPConnection":
        """Return a connection. Where a gateway runs whose control is just being replaced, wait for it."""
        if self.server is not None:
            self._token()
            self._warn_of_plain_http()
            made = self._made(CONNECT_S)
            try:
                made.connect()
            except TimeoutError:
                raise UserError(f"{self.server} takes no connection within {CONNECT_S:g} s", self._hint()) from None
            if made.sock is not None:
                made.sock.settimeout(READ_S)
            return made
        began_s, said = time.monotonic(), False
        while True:
            try:
                _read_token(self.layout.cli_token)
                made = self._made(READ_S)
                made.connect()
            except PermissionError:
                raise DeniedError(
                    f"{self.layout.data} belongs to another user", "run the command as that user, e.g. with sudo -u"
                ) from None
            except OSError:
                waited_s = time.monotonic() - began_s
                if not is_running(self.layout):
                    raise UserError(f"no gateway runs on {self.layout.data}", self._hint()) from None
                if waited_s > give_up_s:
                    raise self._silent(waited_s) from None
                if waited_s > PATIENCE_S and not said:
                    note(_waiting(waited_s, give_up_s))
                    said = True
                time.sleep(0.05)
            else:
                return made

    def _warn_of_plain_http(self) -> None:
        parts = urlsplit(self.server or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not self._has_warned:
            note(
                f"warning: the admin token travels in the clear to {parts.hostname}: use https, or ssh -L 4101:127.0.0.1:4101"
            )
            self._has_warned = True

    def _made(self, timeout_s: float) -> "http.client.HTTPConnection":
        import http.client  # noqa: PLC0415

        if self.server is None:
            made = http.client.HTTPConnection("localhost", timeout=timeout_s)
            made.connect = lambda: _connect_unix(made, self.layout.control_run, timeout_s)  # type: ignore[method-assign]
            return made
        try:
            parts = urlsplit(self.server)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
            raise UserError(
                f"--server {self.server!r} is not the URL of a console", "e.g. --server http://127.0.0.1:4101", 2
            )
        if parts.username is not None:
            raise UserError("--server takes no user in the URL", "the token goes into SWITCHGEAR_TOKEN", 2)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, port, timeout=timeout_s)

    def _wait(self, connection: "http.client.HTTPConnection", give_up_s: float) -> None:
        """Return when an answer begins. Raises UserError when control does not even answer on another connection."""
        sock = connection.sock
        began_s = silent_s = time.monotonic()
        patience_s, said = PATIENCE_S, False
        while not _is_readable(sock, patience_s):
            if self._answers():
                silent_s, said = time.monotonic(), False
                if silent_s - began_s > WORK_S:
                    raise UserError(f"{self._who} did not finish within {WORK_S:g} s", self._hint())
            waited_s = time.monotonic() - silent_s
            if waited_s >= give_up_s:
                raise self._silent(waited_s)
            if waited_s >= PATIENCE_S and not said:
                note(_waiting(waited_s, give_up_s))
                said = True
            patience_s = min(PATIENCE_S, give_up_s - waited_s)

    def _answers(self) -> bool:
        """Ask on a connection of its own whether control answers at all."""
        import http.client  # noqa: PLC0415

        probe = self._made(PROBE_S)
        try:
            probe.request("GET", "/api/v1/")
            probe.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            probe.close()
        return True

    # what is said when it does not work

    @property
    def _who(self) -> str:
        return self.server or "the gateway"

    def _silent(self, waited_s: float) -> UserError:
        if self.server is not None:
            return UserError(f"{self.server} did not answer within {waited_s:.0f} s", "look there: switchgear status")
        return UserError(
            f"control did not answer within {waited_s:.0f} s; what was asked for may still happen",
            f"switchgear status --data {shlex.quote(str(self.layout.data))} shows the processes; one that hangs is replaced",
        )

    def _failed(self, exc: Exception) -> UserError:
        reason = (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__).lower()
        if self.server is None:
            return UserError(f"control closed the connection: {reason}", "look whether it was done, then repeat it")
        if isinstance(exc, ConnectionRefusedError):
            return UserError(f"nothing listens at {self.server}", self._hint())
        return UserError(f"{self.server} does not answer: {reason}", self._hint())

    def _hint(self) -> str:
        if self.server is not None:
            return "is it the console's address (default port 4101)? Through ssh: ssh -L 4101:127.0.0.1:4101 HOST"
        return f"start it: switchgear serve --data {shlex.quote(str(self.layout.data))}   (another folder: --data DIR)"


def _may_repeat(method: str, path: str) -> bool:
    """Tell whether asking twice is as good as once: what only reads, and what stops somebody, which must not fail because control
    hung and was replaced in the middle of it."""
    return method == "GET" or (method == "POST" and (path.endswith("/revoke") or path.startswith("/freezes")))


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def segment(text: str) -> str:
    """Quote one path segment."""
    return quote(text, safe="")


def is_running(layout: Layout) -> bool:
    """Tell whether a supervisor holds the data folder."""
    try:
        fd = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _waiting(waited_s: float, give_up_s: float) -> str:
    return f"control does not answer since {waited_s:.0f} s; waiting {max(1, give_up_s - waited_s):.0f} s more"


def _is_readable(sock: Any, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _connect_unix(connection: "http.client.HTTPConnection", folder: Path, timeout_s: float) -> None:
    from switchgear.net import unix  # noqa: PLC0415

    connection.sock = unix.connect(folder, "control.sock", timeout_s)


def _read_token(path: Path) -> str:
    # The folder is control's: a link planted there must not make root's command send another file's content to control.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, 128).decode("ascii")
    finally:
        os.close(fd)
