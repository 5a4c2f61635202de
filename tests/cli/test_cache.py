"""`switchgear cache`: its command and help."""

from click.testing import CliRunner

from switchgear.cli.cache import cache


def test_help_says_from_when_on_it_holds():
    answer = CliRunner().invoke(cache, ["purge", "--help"])
    assert answer.exit_code == 0
    assert "from the next request on" in " ".join(answer.output.split())
    assert "switchgear cache purge" in answer.output


def test_purging_needs_a_gateway(tmp_path):
    assert CliRunner().invoke(cache, ["purge", "--data", str(tmp_path)]).exit_code != 0
