import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from switchgear.cli.completion import SHELLS, completion


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_asks_this_program(shell):
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("its script asks bash for its version, and there is none")
    answer = CliRunner().invoke(completion, [shell])
    assert "_SWITCHGEAR_COMPLETE" in answer.output and "switchgear" in answer.output


def test_another_shell_is_refused_with_the_known_ones():
    error = CliRunner().invoke(completion, ["tcsh"]).exception
    assert "no shell" in str(error) and "bash, zsh, fish" in error.hint


@pytest.mark.skipif(shutil.which("bash") is None, reason="it is run in a real bash")
@pytest.mark.parametrize(
    ("words", "asked", "offered"),
    [
        (["switchgear", "budget", "show", "te"], "switchgear budget show te|3", "team:research"),
        (["switchgear", "budget", "show", "team", ":"], "switchgear budget show team:|3", "research"),
        (["switchgear", "budget", "show", "team", ":", "re"], "switchgear budget show team:re|3", "research"),
        (["switchgear", "budget", "raise", "key", ":", "ci", ""], "switchgear budget raise key:ci |4", "team:research"),
    ],
)
def test_a_name_with_a_colon_is_completed_by_a_real_bash(tmp_path, words, asked, offered):
    program = tmp_path / "switchgear"
    program.write_text(
        f'#!/bin/sh\nprintf "%s|%s" "$(printf %s "$COMP_WORDS" | tr "\\n" " ")" "$COMP_CWORD" > {tmp_path}/asked\n'
        "echo plain,team:research\n"
    )
    program.chmod(0o755)
    script = CliRunner().invoke(completion, ["bash"]).output
    line = " ".join(f"'{word}'" for word in words)
    run = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _switchgear_completion switchgear; printf %s "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", run],
        check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.stdout, done.stderr.strip()) == (offered, "")
    assert (tmp_path / "asked").read_text() == asked
