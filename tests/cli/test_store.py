"""`switchgear store`: its commands and help; what they do is tested in tests/end_to_end/test_forged_rows.py."""

from click.testing import CliRunner

from switchgear.cli.store import store


def test_help_says_what_accepting_means():
    answer = CliRunner().invoke(store, ["accept", "--help"])
    assert answer.exit_code == 0
    assert "keys that were made since" in " ".join(answer.output.split())
    assert "switchgear store accept --unsigned --yes" in answer.output


def test_checking_needs_a_gateway(tmp_path):
    assert CliRunner().invoke(store, ["check", "--data", str(tmp_path)]).exit_code != 0
