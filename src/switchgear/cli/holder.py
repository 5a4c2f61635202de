"""`switchgear team|user|project|profile …`: what keys belong to. Level 7. The same commands for each kind."""

from typing import Any

import click
import msgspec

from switchgear.cli import key_fields, names, times
from switchgear.cli.base import Column, Group, Output, confirm, counted, examples, name_argument, note, with_client
from switchgear.cli.client import Client, segment
from switchgear.cli.key_fields import KeyField
from switchgear.core.errors import UserError
from switchgear.core.organisation import KINDS, Kind

_OWN: dict[str, KeyField] = {
    "parent": KeyField(flag="--parent", metavar="TEAM", complete=names.teams, label="part of", drop=1),
    "cost_center": KeyField(flag="--cost-center", label="cost center", is_wide=True),
    "pot": KeyField(flag="--pot", metavar="person|key", label="limits of each", absent="person"),
}
_COMPLETERS = {"team": names.teams, "user": names.users, "project": names.projects, "profile": names.profiles}
_ABOUT = {
    "team": "Teams: whose keys share limits, models and networks; they nest.",
    "user": "Users: people, whose keys share limits.",
    "project": "Projects, of a team or by themselves: their keys share limits.",
    "profile": "Profiles: rules that hold for all keys, users and teams that name them.",
}
_EXAMPLES = {
    "team": (
        "research --rpm 600 --budget 500/month --models 'openai/*,fast'",
        "nlp --parent research --cost-center 4711",
    ),
    "user": ("ann@example.com --profile standard", "build@example.com --rpm 60"),
    "project": ("search --team research --tpm 500000", "maps --require region=eu"),
    "profile": ("standard --rpm 60 --models 'openai/*'", "batch --tpm 2000000 --pot key"),
}


def fields_of(kind: Kind) -> dict[str, KeyField]:
    """Return the options of a kind, by field."""
    return {name: (_OWN | key_fields.KEY_FIELDS)[name] for name in kind.fields}


def _descriptions(kind: Kind) -> dict[str, str]:
    return {
        field.name: about.description
        for field in msgspec.structs.fields(kind.written)
        for about in getattr(field.type, "__metadata__", ())
    }


def _people(found: dict[str, Any], fields: dict[str, KeyField], out: Output) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": found["name"], "id": found["id"]}
    shown |= key_fields.for_people(found, out.zone, fields)
    shown["created"] = times.full(found["created_ms"], out.zone)
    return shown | {"source": found["source"], "version": found["version"]}


def _group(kind: Kind) -> click.Group:
    fields, path, name_of = fields_of(kind), f"/{kind.plural}", _COMPLETERS[kind.name]
    options = key_fields.options_of(fields, _descriptions(kind).__getitem__)
    columns = (
        Column("NAME", "name", "id"),
        *key_fields.columns(is_last=False, fields=fields),
        Column("SOURCE", "source", wide=True),
        Column("CREATED", "created_ms", "time", wide=True),
        *key_fields.columns(is_last=True, fields=fields),
    )
    group = Group(kind.name, help=_ABOUT[kind.name])

    @group.command(
        epilog=examples(*(f"switchgear {kind.name} create {example}" for example in _EXAMPLES[kind.name])),
        help=f"Make a {kind.name}.",
    )
    @name_argument()
    @options
    @with_client
    def create(client: Client, out: Output, name: str, **given: Any) -> None:
        key_fields.refuse_empty(given, fields)
        answer = client.call("POST", path, {"name": name, **key_fields.given(given, out.zone, fields)})
        out.one(answer, f"made the {kind.name} {answer['name']}")

    @group.command("list", epilog=examples(f"switchgear {kind.name} list"), help=f"List {kind.plural}.")
    @with_client
    def list_(client: Client, out: Output) -> None:
        answer = client.call("GET", path)
        rows = [{**one, "models": key_fields.models_shown(one["models"])} for one in answer[kind.plural]]
        out.rows(answer, rows, columns, f"no {kind.plural} yet: switchgear {kind.name} create NAME")

    @group.command(
        epilog=examples(f"switchgear {kind.name} show {_EXAMPLES[kind.name][0].split()[0]}"),
        help=f"Show one {kind.name}, by its name or id.",
    )
    @name_argument(name_of)
    @with_client
    def show(client: Client, out: Output, name: str) -> None:
        answer = client.call("GET", f"{path}/{segment(name)}")
        out.one(answer, people=_people(answer, fields, out) if out.for_people else None)

    @group.command(
        epilog=examples(
            f"switchgear {kind.name} update {_EXAMPLES[kind.name][0].split()[0]} --rpm 120",
            f"switchgear {kind.name} update {_EXAMPLES[kind.name][0].split()[0]} --rename new-name",
        ),
        help=f"Change a {kind.name}; what is not named stays. An empty value clears. Holds for the next request of its keys.",
    )
    @name_argument(name_of)
    @click.option("--rename", metavar="NAME", help="Its new name; its id and what was booked stay.")
    @options
    @with_client
    def update(client: Client, out: Output, name: str, rename: str | None, **given: Any) -> None:
        said = key_fields.given(given, out.zone, fields)
        body = {field: key_fields.cleared(value) for field, value in said.items()}
        if rename is not None:
            body["name"] = rename
        if not body:
            raise UserError("nothing to change was named", f"see switchgear {kind.name} update --help", 2)
        answer = client.call("PATCH", f"{path}/{segment(name)}", body)
        out.one(answer, f"changed the {kind.name} {answer['name']} (version {answer['version']})")

    @group.command(
        epilog=examples(f"switchgear {kind.name} remove {_EXAMPLES[kind.name][0].split()[0]} --move-to other --yes"),
        help=f"Remove a {kind.name}. One that keys belong to is removed with --move-to only.",
    )
    @name_argument(name_of)
    @click.option(
        "--move-to",
        metavar="NAME",
        shell_complete=name_of,
        help=f"The {kind.name} that its keys belong to from now on; what was booked stays where it was.",
    )
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @with_client
    def remove(client: Client, out: Output, name: str, move_to: str | None, yes: bool) -> None:
        confirm(f"Remove the {kind.name} {name}?", yes)
        query = f"?move_to={segment(move_to)}" if move_to is not None else ""
        answer = client.call("DELETE", f"{path}/{segment(name)}{query}")
        out.one(answer, f"removed the {kind.name} {answer['name']}")
        for what, moved in (("key", answer["moved"]), ("other", answer["moved_holders"])):
            if out.for_people and moved:
                verb = "belongs" if len(moved) == 1 else "belong"
                note(f"  {counted(len(moved), what)} {verb} to {move_to} now: {', '.join(moved[:20])}")

    return group


team, user, project, profile = (_group(kind) for kind in KINDS.values())
