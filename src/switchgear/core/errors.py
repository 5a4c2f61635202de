"""The exceptions of this program, split by whose fault they are. Level 0.

SwitchgearError
├── UserError            a person did something that can be put right: one line, a hint, an exit code
│   ├── ConfigError      the configuration has problems (all of them, each with its path and line)
│   ├── DeniedError      the one who asks may not
│   └── ConflictError    the object exists already, or changed since it was read
│       └── StaleError   it changed since the caller read it
├── ProtocolError        a peer broke a wire format; the connection is closed
│   ├── FrameError       on the link between edge and vault
│   └── RecordError      in a spool
├── SealError            a sealed blob does not open: wrong KEK, wrong place, or damaged
├── RefusedError         the vault will not do what a frame or a verb asks
├── SpoolFullError       the ledger cannot record; new work is refused
└── IllegalMoveError     a state machine was asked for a move that its table does not have

Denials on the request path are values (`core.problems.Problem`), not exceptions.
"""

import msgspec

from switchgear.core.text import clean

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding foreign JSON or msgpack raises: msgspec has one error for its shape, lets Python's own through for a string that
is not UTF-8, and the interpreter's for one that is too deep. Whoever catches one of them means all."""


class SwitchgearError(Exception):
    """The root of the tree."""


class UserError(SwitchgearError):
    """Something a person can put right. `hint` says how; `exit_code` is the program's."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake in a configuration. `line` counts from 1; 0 means no line is known. A warning stops nothing."""

    file: str
    line: int
    path: str
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return clean(f"{where}: {'warning: ' if self.is_warning else ''}{self.path or '(top)'}: {self.message}", 2_000)


class ConfigError(UserError):
    """All problems of a configuration at once."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        super().__init__("\n".join(map(str, problems)), exit_code=2)
        self.problems = problems


class DeniedError(UserError):
    """The one who asks is known and may not do this."""


class ConflictError(UserError):
    """The object exists already, or changed since the caller read it."""


class StaleError(ConflictError):
    """The object is not the one that the caller saw any more."""


class ProtocolError(SwitchgearError):
    """A peer broke a wire format."""


class FrameError(ProtocolError):
    """A frame on the link is malformed, too large or out of place."""


class RecordError(ProtocolError):
    """A spool record is damaged."""


class SealError(SwitchgearError):
    """A sealed blob does not open."""


class RefusedError(SwitchgearError):
    """The vault refuses; the message is safe to show to an admin."""


class SpoolFullError(SwitchgearError):
    """No room for a reservation and its settlement."""


class IllegalMoveError(SwitchgearError):
    """A state machine was told to go where no transition leads: a fault of the program."""
