"""The fields of a key's policy on the command line: an option each, and how lists and `key show` tell them. Level 7.

The table has a row for each field of core/key_policy, by the name under which it is written; a test compares.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import click
import msgspec

from switchgear.cli import names, times
from switchgear.cli.base import expiry, near
from switchgear.cli.output import Column
from switchgear.core import budget_rule, key_policy
from switchgear.core.errors import UserError
from switchgear.core.key_policy import WrittenPolicy


class KeyField(msgspec.Struct, frozen=True, kw_only=True):
    """How one field is given and shown."""

    flag: str
    kind: Literal["text", "list", "repeated", "budgets", "labels", "time", "number"] = "text"
    """One text, names with commas between them, an option that may stand again (also of budgets, or as NAME=VALUE), a date or span,
    or a whole number."""
    metavar: str | None = None
    complete: names.Completer | None = None
    label: str
    """Its name in `key show`, and as a column's title."""
    absent: str | None = None
    """What `key show` says where it has no value."""
    drop: int = 0
    is_wide: bool = False
    """Its column is shown with -o wide only."""
    is_last: bool = False
    """Its column stands behind those of the key itself."""


Fields = Mapping[str, KeyField]
KEY_FIELDS: dict[str, KeyField] = {
    "team": KeyField(flag="--team", complete=names.teams, label="team", drop=3),
    "user": KeyField(flag="--user", complete=names.users, label="user", is_wide=True),
    "project": KeyField(flag="--project", complete=names.projects, label="project", is_wide=True),
    "profile": KeyField(flag="--profile", complete=names.profiles, label="profile", is_wide=True),
    "models": KeyField(
        flag="--models", kind="list", metavar="A,B", complete=names.models, label="models", absent="all", drop=4
    ),
    "cidrs": KeyField(
        flag="--cidr", kind="repeated", metavar="NET", label="networks", absent="any", is_wide=True, is_last=True
    ),
    "tags": KeyField(flag="--tag", kind="repeated", metavar="K=V", label="tags", is_wide=True, is_last=True),
    "passthrough": KeyField(
        flag="--passthrough", kind="repeated", metavar="RULE", label="pass-through", is_wide=True, is_last=True
    ),
    "rpm": KeyField(
        flag="--rpm", kind="number", metavar="N", label="rpm", absent="no limit", is_wide=True, is_last=True
    ),
    "tpm": KeyField(
        flag="--tpm", kind="number", metavar="N", label="tpm", absent="no limit", is_wide=True, is_last=True
    ),
    "parallel": KeyField(
        flag="--parallel", kind="number", metavar="N", label="parallel", absent="no limit", is_wide=True, is_last=True
    ),
    "limits": KeyField(
        flag="--limit", kind="repeated", metavar="RULE", label="limits", absent="none", is_wide=True, is_last=True
    ),
    "budget": KeyField(
        flag="--budget", kind="budgets", metavar="RULE", label="budget", absent="none", is_wide=True, is_last=True
    ),
    "require": KeyField(
        flag="--require",
        kind="labels",
        metavar="LABEL=VALUE",
        label="requires",
        absent="nothing",
        is_wide=True,
        is_last=True,
    ),
    "ceilings": KeyField(
        flag="--ceiling",
        kind="labels",
        metavar="NAME=MOST",
        label="ceilings",
        absent="none",
        is_wide=True,
        is_last=True,
    ),
    "cache": KeyField(
        flag="--cache", kind="labels", metavar="ttl=TIME", label="cache", absent="none", is_wide=True, is_last=True
    ),
    "expires": KeyField(flag="--expires", kind="time", metavar="90d|DATE", label="expires", absent="never", drop=5),
}


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each field of a key; its arguments bear the fields' names."""
    return options_of(KEY_FIELDS, key_policy.description_of)(function)


def options_of(
    fields: Fields, description_of: Callable[[str], str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each of some fields; its arguments bear the fields' names."""
    return functools.partial(_with_options, fields, description_of)


def _with_options(
    fields: Fields, description_of: Callable[[str], str], function: Callable[..., Any]
) -> Callable[..., Any]:
    for name, field in reversed(list(fields.items())):
        is_repeated = field.kind in {"repeated", "budgets", "labels"}
        about = description_of(name) + (" Repeatable." if is_repeated else "")
        option = click.option(
            field.flag, name, metavar=field.metavar, help=about, multiple=is_repeated, shell_complete=field.complete
        )
        function = option(function)
    return function


def given(values: dict[str, Any], zone: times.Zone, fields: Fields = KEY_FIELDS) -> dict[str, Any]:
    """Return the fields that options name, as the admin API takes them. Raises UserError for a tag or a time that is none."""
    return {
        name: _read(name, field, values[name], zone) for name, field in fields.items() if values[name] not in {None, ()}
    }


_EVERYTHING = {"all", "any"}


def refuse_empty(values: dict[str, Any], fields: Fields = KEY_FIELDS) -> None:
    """Raise UserError for an option of something new that is empty: an unset variable, most likely. For a change it would clear."""
    for name, value in values.items():
        if value == "" or (isinstance(value, tuple) and "" in value):
            flag = fields[name].flag
            raise UserError(
                f"{flag} is empty", f"is a variable unset? Without {flag} it is {fields[name].absent or 'none'}", 2
            )


def models_shown(models: list[str] | None) -> list[str]:
    """Return what a list shows of a key's models: None allows all, none allows nothing."""
    return ["all"] if models is None else models or ["none"]


def _read(name: str, field: KeyField, value: Any, zone: times.Zone) -> Any:
    kind = field.kind
    if name == "tags":
        check_tags(value)
    if kind == "list":
        return [item.strip() for item in value.split(",") if item.strip()]
    if kind == "repeated":
        return list(value)
    if kind == "budgets":
        return [_budget(field.flag, text) for text in value]
    if kind == "number":
        return _number(field.flag, value)
    if kind == "labels":
        return labels_of(field.flag, value, field.metavar or "LABEL=VALUE")
    return expiry(value, zone) if kind == "time" else value


_BUDGET_EXAMPLE = "e.g. {} '{{limit: 500/month, soft: 80%}}'"


def _budget(flag: str, text: str) -> Any:
    """Return a budget as the admin API takes it: a text, or a mapping as a file has it."""
    if not text.lstrip().startswith("{"):
        return text
    import yaml  # noqa: PLC0415 - few runs give a mapping

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{flag} {text!r} is no mapping", _BUDGET_EXAMPLE.format(flag), 2)
    for name in found:
        if name not in budget_rule.BudgetSpec.__struct_fields__:
            known = budget_rule.BudgetSpec.__struct_fields__
            if ":" in str(name):
                raise UserError(f"{flag}: {name} needs a blank behind its colon", _BUDGET_EXAMPLE.format(flag), 2)
            hint = f"known are {', '.join(known)}"
            raise UserError(f"{flag}: the key {str(name)!r} is not known{near(str(name), known)}", hint, 2)
    if "limit" not in found:
        raise UserError(f"{flag}: the key 'limit' is missing", _BUDGET_EXAMPLE.format(flag), 2)
    return found


def budgets_shown(told: list[Any]) -> list[str]:
    """Return budgets in a line each, as the API told them."""
    return [budget_rule.described(msgspec.convert(one, budget_rule.Written)) for one in told]


def _number(flag: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"{flag} {text!r} must be a whole number, 1 or more", f'e.g. {flag} 60; "" clears it', 2)
    return int(text)


def cleared(value: Any) -> Any:
    """Return a value of a change: an empty one clears the field. 0 does not: it is refused, since it would mean "no limit"."""
    if isinstance(value, int):
        return value
    return ([item for item in value if item] if isinstance(value, list) else value) or None


def check_tags(tags: tuple[str, ...]) -> None:
    """Raise UserError for a tag that is not KEY=VALUE; an empty one clears."""
    for tag in tags:
        name, equals, value = tag.partition("=")
        if tag and not (name and equals and value):
            raise UserError(f"--tag {tag!r} must be KEY=VALUE", "e.g. --tag cost_center=4711", 2)


_LABEL_EXAMPLES = {"--cache": "ttl=10m", "--ceiling": "output_tokens=4096"}


def labels_of(flag: str, texts: tuple[str, ...], metavar: str = "LABEL=VALUE") -> dict[str, str]:
    """Read LABEL=VALUE; an empty one clears. Raises UserError, also for a label that is said twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text and not (name and equals and value):
            example = _LABEL_EXAMPLES.get(flag, "region=eu")
            raise UserError(f"{flag} {text!r} must be {metavar}", f"e.g. {flag} {example}", 2)
        if found.get(name, value) != value:
            raise UserError(f"{flag} says {name!r} twice: {found[name]} and {value}", "say it once", 2)
        if text:
            found[name] = value
    return found


def _told_as(name: str) -> str:
    return WrittenPolicy.TIMES.get(name, name)


def columns(is_last: bool, fields: Fields = KEY_FIELDS) -> Iterator[Column]:
    """Return the columns of a list of keys: those beside the name, or those behind all others."""
    kinds = {
        "text": "text",
        "list": "list",
        "repeated": "list",
        "budgets": "list",
        "labels": "labels",
        "time": "date",
        "number": "number",
    }
    for name, field in fields.items():
        if field.is_last is is_last:
            title = name if field.is_last else field.label
            yield Column(title.upper(), _told_as(name), kinds[field.kind], field.drop, field.is_wide)


def _shown(name: str, value: Any) -> Any:
    return budgets_shown(value) if name == "budget" and value else value


def for_people(key: dict[str, Any], zone: times.Zone, fields: Fields = KEY_FIELDS) -> dict[str, Any]:
    """Return a key's fields as people read them. An empty list where none at all means everything allows nothing."""
    return {
        field.label: "none"
        if value == [] and field.absent in _EVERYTHING
        else (times.full(value, zone) if field.kind == "time" else value) or field.absent or value
        for name, field in fields.items()
        for value in [_shown(name, key.get(_told_as(name)))]
    }
