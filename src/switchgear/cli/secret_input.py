"""What people give as a secret: read without an echo, and looked at before it is sealed for good. Level 7.

Bytes become a `Secret` only after they were looked at. No message shows any of them.
"""

import json
import os
import re
import sys
from pathlib import Path

import click

from switchgear.core.errors import UserError

BYTES_MAX = 16_384
"""As the vault's (seal.SECRET_BYTES_MAX)."""
BYTES_MIN = 8
_ASSIGNMENT = re.compile(rb"(?:export\s+[A-Za-z_]\w*|[A-Z][A-Z0-9]*_[A-Z0-9_]*)\s*[=:]\s*[^=\s]")
_QUOTES = (b'"', b"'", b"`", "\u201c".encode(), "\u2018".encode())
_OURS = ((b"sk-sg-", "a virtual key of this gateway"), (b"sgat-", "an admin token of this gateway"))

FORMS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"sk-ant-", "Anthropic", ("anthropic",)),
    (b"sk-proj-", "OpenAI", ("openai",)),
    (b"sk-svcacct-", "OpenAI", ("openai",)),
    (b"sk-or-", "OpenRouter", ("openrouter",)),
    (b"AIza", "Google", ("gemini", "google", "vertex")),
    (b"gsk_", "Groq", ("groq",)),
    (b"xai-", "xAI", ("xai", "x-ai", "grok")),
    (b"pplx-", "Perplexity", ("perplexity",)),
    (b"hf_", "Hugging Face", ("huggingface", "hf")),
    (b"nvapi-", "NVIDIA", ("nvidia",)),
    (b"fw_", "Fireworks", ("fireworks",)),
    (b"r8_", "Replicate", ("replicate",)),
    (b"csk-", "Cerebras", ("cerebras",)),
)
"""How keys of providers begin, whose they are, and what their provider is called. As shown in the providers' consoles and
documentation, 2026-11; what begins otherwise is nobody's."""


def is_asked_for(from_env: str | None, from_file: Path | None) -> bool:
    """Tell whether `read` will ask a person."""
    return from_env is None and from_file is None and sys.stdin.isatty()


def read(from_stdin: bool, from_env: str | None, from_file: Path | None) -> bytes:
    """Read a secret: from a hidden prompt on a terminal, else from where it is said to be. One newline at its end goes."""
    if sum((from_stdin, from_env is not None, from_file is not None)) > 1:
        raise UserError("give one of --from-stdin, --from-env and --from-file", "", 2)
    if from_env is not None:
        value = os.environ.get(from_env)
        if not value:
            raise UserError(f"the environment variable {from_env!r} is not set here", f"export {from_env} first", 2)
        return without_newline(os.fsencode(value))
    if from_file is not None:
        try:
            with from_file.open("rb") as file:
                return without_newline(file.read(BYTES_MAX + 3))
        except OSError as exc:
            raise UserError(f"the file {from_file} cannot be read: {exc.strerror}", "", 2) from None
    if sys.stdin.isatty():
        prompt = "Secret (it is not shown; Enter ends it)"
        return without_newline(
            str(click.prompt(prompt, hide_input=True, err=True, default="", show_default=False)).encode()
        )
    return without_newline(sys.stdin.buffer.read(BYTES_MAX + 3))


def without_newline(value: bytes) -> bytes:
    """Take away one newline at the end: files and `echo` have one."""
    return value.removesuffix(b"\n").removesuffix(b"\r")


def refuse_nonsense(value: bytes) -> None:
    """Refuse what cannot be a provider's secret, whatever the provider. Raises UserError."""
    if not value.strip():
        raise UserError(
            "the secret is empty",
            "on a terminal it is asked for; elsewhere give --from-stdin, --from-env VAR or --from-file FILE",
            2,
        )
    if len(value) > BYTES_MAX:
        raise UserError(f"the secret has more than {BYTES_MAX} bytes", "is it the right file?", 2)
    is_document = value.lstrip()[:1] in {b"{", b"-"}
    if value.lstrip().startswith(b"{"):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            raise UserError("the secret begins as JSON and is none", "give a whole file: --from-file", 2) from None
    if not is_document and value != value.strip():
        raise UserError("the secret begins or ends with white space", "was it copied whole, and alone?", 2)
    if len(value) >= 2 and value.startswith(_QUOTES):
        raise UserError("the secret is in quotes", "give it without them", 2)
    if not is_document and _ASSIGNMENT.match(value):
        raise UserError("that is NAME=value, not the value", "give what stands after the =", 2)
    if value[:7].lower() == b"bearer ":
        raise UserError("the secret begins with 'Bearer'", "give what stands after it", 2)
    for start, what in _OURS:
        if value.startswith(start):
            raise UserError(f"that is {what}, not a provider's secret", "make one in the provider's own console", 2)


def doubts(value: bytes, names: tuple[str, ...]) -> list[str]:
    """Say what is odd about a secret for a provider that is known by these names: host, kind, name."""
    found = []
    if len(value) < BYTES_MIN:
        found.append(f"the secret has {len(value)} characters only")
    for start, whose, known in FORMS:
        if value.startswith(start) and not any(one in name for one in known for name in names):
            found.append(f"the secret looks like a key of {whose}")
    return found
