"""What all commands share: aliases, suggestions, choices, questions."""

import click
import pytest
from click.testing import CliRunner

from switchgear.cli import base
from switchgear.core.errors import UserError


@click.group(cls=base.Group)
def things():
    """Things."""


@things.command("list")
@base.format_options()
def list_(out):
    """List."""
    out.one({"kind": out.kind})


@things.command("revoke")
def revoke():
    """Revoke."""
    click.echo("revoked")


@pytest.mark.parametrize("arguments", [["ls"], ["list"], ["list", "-o", "table"], ["list", "--format", "table"]])
def test_an_alias_runs_its_command(arguments):
    assert CliRunner().invoke(things, arguments).output == "kind  table\n"


@pytest.mark.parametrize("alias", ["rm", "remove", "delete"])
def test_the_alias_remove_finds_the_command_revoke(alias):
    assert CliRunner().invoke(things, [alias]).output == "revoked\n"


@pytest.mark.parametrize(("name", "meant"), [("lists", "list"), ("lst", "list"), ("revok", "revoke"), ("zzz", None)])
def test_a_command_that_is_none_names_the_nearest(name, meant):
    error = CliRunner().invoke(things, [name]).exception
    assert isinstance(error, UserError) and error.exit_code == 2 and "--help" in error.hint
    assert (f"did you mean {meant!r}?" in str(error)) if meant else "did you mean" not in str(error)


def test_a_choice_names_the_nearest_and_all():
    error = CliRunner().invoke(things, ["list", "-o", "jsno"]).exception
    assert "did you mean 'json'?" in str(error) and "table, wide, json, csv" in error.hint


def test_json_is_short_for_the_format():
    assert CliRunner().invoke(things, ["list", "--json"]).output == '{\n  "kind": "json"\n}\n'


def test_a_question_without_a_terminal_is_refused_with_the_option_that_answers_it():
    base.confirm("sure?", True)
    with pytest.raises(UserError, match=r"^sure\? ") as info:
        CliRunner().invoke(click.Command("x", callback=lambda: base.confirm("sure?", False)), standalone_mode=False, catch_exceptions=False)  # fmt: skip
    assert "--yes" in info.value.hint and info.value.exit_code == 2


def test_a_missing_name_is_asked_for_with_an_example_of_that_command():
    @click.command(epilog=base.examples("model rm fast"))
    @base.name_argument()
    def rm(name):
        pass

    group = base.Group("model", commands={"rm": rm})
    with pytest.raises(UserError) as info:
        group.main(["rm"], prog_name="model", standalone_mode=False)
    assert info.value.hint == "e.g. model rm fast"


@things.command("show")
@base.name_argument()
def show(name):
    """Show."""
    click.echo(name)


def test_a_name_is_positional_and_an_option():
    run = CliRunner().invoke
    assert run(things, ["show", "x"]).output == run(things, ["show", "--name", "x"]).output == "x\n"
    assert "two names" in str(run(things, ["show", "x", "--name", "y"]).exception)
    assert "a name is needed" in str(run(things, ["show"]).exception)
