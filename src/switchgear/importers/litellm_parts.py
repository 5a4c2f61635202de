"""What the parts of the LiteLLM import share: rows, lines of the report, and reading loosely typed settings. Level 2, pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from switchgear.core.errors import UserError
from switchgear.core.text import without_secrets

Status = Literal["imported", "changed", "unsupported"]
ENV = "os.environ/"
VALUES_MAX, DEPTH_MAX = 500_000, 50


class Opened(str):
    """Text that was encrypted in the database: used, never shown."""

    __slots__ = ()


class EntryError(Exception):
    """One entry cannot be taken over: it is listed, and all others are."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path
        self.text = text


class Line(msgspec.Struct, frozen=True):
    """One line of the report."""

    status: Status
    path: str
    text: str


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key of LiteLLM's database; `token` is the SHA-256 of the key, in hex."""

    token: str
    alias: str | None = None
    spend: float = 0.0
    expires: str | None = None
    models: list[str] = []
    team_id: str | None = None
    user_id: str | None = None
    blocked: bool = False
    metadata: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    """What else it has, of what restricts it: budgets, limits, routes."""


class TeamRow(msgspec.Struct, frozen=True, kw_only=True):
    """A team."""

    id: str
    alias: str | None = None
    models: list[str] = []
    spend: float = 0.0
    rest: dict[str, Any] = {}


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    email: str | None = None
    spend: float = 0.0
    rest: dict[str, Any] = {}


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a database; values of `models` and `credentials` may be encrypted."""

    keys: list[KeyRow] = []
    teams: list[TeamRow] = []
    users: list[UserRow] = []
    models: list[dict[str, Any]] = []
    """Entries as in `model_list`."""
    credentials: list[dict[str, Any]] = []
    """Entries as in `credential_list`."""
    settings: dict[str, Any] = {}


class Copier:
    """Copies a decoded file; bounded, since anchors of YAML multiply what they name."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Copy a value and all in it. Raises UserError."""
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            raise UserError("the configuration is too large (anchors that multiply?)", "", 2)
        if isinstance(value, dict):
            return {str(k): self.copy(v, depth + 1) for k, v in value.items()}
        return [self.copy(v, depth + 1) for v in value] if isinstance(value, list) else value


def mapping(value: Any) -> dict[str, Any]:
    """Return a copy of a mapping; an empty one for anything else."""
    return dict(value) if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """Return a list; a single value as a list of one, None as an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def looks_encrypted(value: str) -> bool:
    """Tell whether a stored value looks like one of the cipher formats."""
    return value.startswith(("v2:gcm:", "v3:gcm:")) or (
        len(value) >= 56 and re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", value) is not None
    )


def shown(value: Any) -> str:
    """Show a setting without what could be secret."""
    if isinstance(value, Opened):
        return "…"
    return without_secrets(str(value), 80)


def slug(text: str) -> str:
    """Return a name that configurations allow, or nothing."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60]


def label(text: str | None) -> str | None:
    """Return a text that records may carry."""
    if not text:
        return None
    return "".join(c for c in text if c.isprintable())[:64] or None


def unique(name: str, taken: Mapping[str, Any]) -> str:
    """Return the name, or with the first number that is free."""
    if name not in taken:
        return name
    return next(f"{name}-{n}" for n in range(2, 100_000) if f"{name}-{n}" not in taken)
