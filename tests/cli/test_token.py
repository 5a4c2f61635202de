"""`switchgear token`: its commands and help; what they do is tested in tests/end_to_end/test_admin_api.py."""

import re

from click.testing import CliRunner

from switchgear.cli.token import token


def test_help_shows_the_roles_and_an_example():
    answer = CliRunner().invoke(token, ["create", "--help"])
    assert answer.exit_code == 0
    assert "billing-reader" in answer.output
    assert "switchgear token create prometheus --role viewer" in answer.output


def test_a_token_needs_a_role(tmp_path):
    answer = CliRunner().invoke(token, ["create", "prometheus", "--data", str(tmp_path)])
    assert answer.exit_code == 2
    assert "--role" in answer.output


def test_the_usual_aliases_work():
    assert CliRunner().invoke(token, ["ls", "--help"]).exit_code == 0


def test_a_new_token_alone_is_the_answer_and_the_sentence_is_a_remark(served):
    done = served.run("token", "create", "prometheus", "--role", "viewer")
    assert re.fullmatch(r"sgat-\S+\n", done.stdout)
    assert "shown this once" in done.stderr
