"""Secrets as people give them: a hidden prompt, and nonsense refused before it is sealed."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from switchgear.cli import secret_input
from switchgear.core.errors import UserError
from switchgear.testing.patience import until

GOOD = b"sk-proj-0123456789abcdefghijklmnop"


@pytest.mark.parametrize(
    "value", [GOOD, b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG", b'{"type": "service_account"}', b"YWJjZGVmZ2g9PQ==", b"abc=def12", b"-----BEGIN PRIVATE KEY-----\nx\n"]
)  # fmt: skip
def test_secrets_of_every_form_are_taken(value):
    secret_input.refuse_nonsense(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "empty"), (b"  ", "empty"), (b"\n\n", "empty"),
        (b'"sk-proj-0123456789"', "quotes"), (b"'sk-proj-0123456789'", "quotes"), ("“sk-proj-01234”".encode(), "quotes"),
        (b"OPENAI_API_KEY=sk-proj-0123456789", "NAME=value"), (b"export KEY=sk-proj-0123456789", "NAME=value"), (b"OPENAI_API_KEY: sk-proj-1", "NAME=value"),
        (b"sk-sg-abcdefghijkl-0123456789", "virtual key"), (b"sgat-0123456789", "admin token"),
        (b"Bearer sk-proj-0123456789", "Bearer"), (b" sk-proj-0123456789", "white space"), (b"sk-proj-0123456789\n\n", "white space"),
        (b'{"type": "service_account",', "JSON"), (b"x" * 20_000, "more than"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_a_secret_is_refused_and_not_shown(value, said):
    with pytest.raises(UserError, match=said) as info:
        secret_input.refuse_nonsense(value)
    assert info.value.exit_code == 2
    assert "0123456789" not in str(info.value) + info.value.hint


@pytest.mark.parametrize(
    ("value", "names", "whose"),
    [
        (b"sk-ant-api03-0123456789", ("openai", "openai", "api.openai.com"), "Anthropic"),
        (b"sk-proj-0123456789", ("claude", "anthropic", "api.anthropic.com"), "OpenAI"),
        (b"AIzaSyA0123456789", ("openai", "openai", "api.openai.com"), "Google"),
        (b"gsk_0123456789", ("openai", "openai", "api.openai.com"), "Groq"),
        (b"x", ("openai", "openai", "api.openai.com"), "1 characters"),
    ],
)
def test_a_key_of_somebody_else_is_doubted(value, names, whose):
    assert whose in secret_input.doubts(value, names)[0]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"sk-ant-api03-0123456789", ("claude", "anthropic", "api.anthropic.com")), (b"sk-ant-api03-0123456789", ("own", "", "eu.anthropic.internal")),
        (b"sk-0123456789abcdef", ("deepseek", "deepseek", "api.deepseek.com")), (b"AIzaSyA0123456789", ("gemini", "google", "generativelanguage.googleapis.com")),
        (b"anything-at-all", ("local", "", "127.0.0.1")),
    ],
)  # fmt: skip
def test_a_key_in_its_place_is_not_doubted(value, names):
    assert secret_input.doubts(value, names) == []


@pytest.mark.parametrize(
    ("given", "kept"), [(b"a\n", b"a"), (b"a\r\n", b"a"), (b"a", b"a"), (b"a\n\n", b"a\n"), (b"a ", b"a ")]
)
def test_one_new_line_goes(given, kept):
    assert secret_input.without_newline(given) == kept


def test_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(GOOD + b"\n")
    assert secret_input.read(False, None, tmp_path / "key") == GOOD
    monkeypatch.setenv("A_KEY", GOOD.decode())
    assert secret_input.read(False, "A_KEY", None) == GOOD
    for arguments in ((True, "A_KEY", None), (False, "NO_SUCH", None), (False, None, tmp_path / "none")):
        with pytest.raises(UserError):
            secret_input.read(*arguments)


@pytest.mark.parametrize("from_stdin", [True, False])
def test_a_secret_typed_on_a_terminal_is_not_echoed_and_ends_with_enter(from_stdin):
    code = f"from switchgear.cli import secret_input; print('GOT', secret_input.read({from_stdin}, None, None))"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    )
    os.close(follower)
    seen = b""
    try:
        while b"Secret" not in seen:
            seen += os.read(leader, 1024)
        assert until(lambda: not termios.tcgetattr(leader)[3] & termios.ECHO)  # the prompt is written before
        os.write(leader, GOOD + b"\n")
        while b"GOT" not in seen or not seen.endswith(b"\n"):
            seen += os.read(leader, 1024)
    finally:
        process.wait(60)
        os.close(leader)
    assert seen.count(GOOD) == 1 and b"GOT b'" + GOOD in seen  # what the code printed, and no echo before it


def test_an_empty_secret_is_told_with_every_way_to_give_one():
    with pytest.raises(UserError) as refused:
        secret_input.refuse_nonsense(b"")
    assert all(way in refused.value.hint for way in ("--from-stdin", "--from-env", "--from-file"))
