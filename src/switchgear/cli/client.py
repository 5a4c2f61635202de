"""How commands reach control: the Unix socket of a data folder, or a URL with SWITCHGEAR_TOKEN. Level 7."""

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from switchgear.app.layout import Layout
from switchgear.app.serve import data_folder
from switchgear.core.errors import UserError
from switchgear.net import unix

TIMEOUT_S = 60.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._folder = folder

    def connect(self) -> None:
        self.sock = unix.connect(self._folder, "control.sock", TIMEOUT_S)


class Client:
    """One command's connection to the gateway."""

    def __init__(self, data: Path | None, server: str | None) -> None:
        self.layout = Layout(data_folder(data, dict(os.environ)))
        self._server = server

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the admin API; returns the decoded answer. Raises UserError."""
        connection, token = self._connect()
        asked = {name: str(value) for name, value in query.items() if value is not None}
        target = f"/api/v1{path}" + (f"?{urlencode(asked)}" if asked else "")
        raw = body if isinstance(body, bytes) else (json.dumps(body).encode() if body is not None else None)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            connection.request(method, target, raw, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise UserError(f"the gateway does not answer: {exc}", self._hint()) from None
        finally:
            connection.close()
        try:
            answer = json.loads(data)
        except ValueError:
            raise UserError(f"the gateway answered {response.status} without JSON", self._hint()) from None
        if response.status >= 400:
            raise UserError(answer.get("error", f"status {response.status}"), answer.get("hint", ""))
        return answer

    def _connect(self) -> tuple[http.client.HTTPConnection, str]:
        if self._server is not None:
            parts = urlsplit(self._server)
            token = os.environ.get("SWITCHGEAR_TOKEN", "")
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise UserError(f"{self._server!r} is not a URL", "e.g. --server http://127.0.0.1:4101", 2)
            if not token:
                raise UserError(
                    "SWITCHGEAR_TOKEN is not set", "export the admin token (sgat-…) before using --server", 2
                )
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            return kind(parts.hostname, parts.port, timeout=TIMEOUT_S), token
        try:
            token = _read_token(self.layout.cli_token)
        except PermissionError:
            raise UserError(
                f"{self.layout.data} belongs to another user", "run the command as that user, e.g. with sudo -u"
            ) from None
        except OSError:
            raise UserError(f"no gateway runs on {self.layout.data}", self._hint()) from None
        return _UnixConnection(self.layout.control_run), token

    def _hint(self) -> str:
        return f"start it: switchgear serve --data {self.layout.data}   (another folder: --data DIR)"


def segment(text: str) -> str:
    """Quote one path segment."""
    return quote(text, safe="")


def _read_token(path: Path) -> str:
    # The folder is control's: a link planted there must not make root's command send another file's content to control.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, 128).decode("ascii")
    finally:
        os.close(fd)
