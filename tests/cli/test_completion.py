import shutil

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
