"""docs/configuration.md and the schema say the same, key by key, both ways."""

import re
import typing
from pathlib import Path

import msgspec
import pytest

from switchgear.config import schema
from switchgear.core.budget_rule import BudgetSpec

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
TABLES = {
    "Top level": schema.Config,
    "`courier`": schema.Courier,
    "Of a destination:": schema.Destination,
    "`listen`": schema.Listen,
    "`limits`": schema.Limits,
    "`providers`": schema.Provider,
    "Of a credential:": schema.Credential,
    "`models`": schema.Model,
    "`keys`": schema.Key,
    "`teams`": schema.Team,
    "`users`": schema.User,
    "`projects`": schema.Project,
    "`profiles`": schema.Profile,
    "Budgets": BudgetSpec,
}
"""What stands before a table → the type whose keys are its rows."""


def section(title):
    """Return the text between a title and the next table of another type."""
    starts = [TEXT.index(f"## {name}\n" if not name.endswith(":") else name) for name in TABLES] + [
        TEXT.index("## Prices")
    ]
    start = TEXT.index(f"## {title}\n" if not title.endswith(":") else title)
    return TEXT[start : min((at for at in starts if at > start), default=len(TEXT))]


def rows(title):
    """Return key → the rest of its row."""
    found = {}
    for line in section(title).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) >= 2 and cells[0].startswith("`"):
            for key in re.findall(r"`([^`]+)`", cells[0]):
                found[key] = cells[1:]
    return found


def fields(kind):
    return [field.name for field in msgspec.structs.fields(kind)]


def inner(hint):
    """Return the types that a key's value is made of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [kind for option in typing.get_args(hint) for kind in inner(option)]


@pytest.mark.parametrize("title", TABLES)
def test_a_table_of_the_documents_has_exactly_the_keys_of_its_type(title):
    assert sorted(rows(title)) == sorted(fields(TABLES[title]))


def test_every_type_of_the_schema_is_documented_where_it_belongs():
    told = set(TABLES.values())
    for title, kind in TABLES.items():
        for name, hint in typing.get_type_hints(kind).items():
            for nested in inner(hint):
                if nested in TABLES.values():
                    continue
                told.add(nested)
                row = " ".join(rows(title)[name])
                where = row if nested is not schema.PriceSpec else TEXT[TEXT.index("## Prices") :]
                missing = [key for key in fields(nested) if f"`{key}`" not in where]
                assert not missing, f"{title} {name}: {missing}"
    assert {schema.Tls, schema.Ceilings, schema.Deployment, schema.Retry, schema.Timeouts, schema.Pricing} <= told


def test_prices_name_every_kind_and_no_other():
    named = set(re.findall(r"`(\w+_per_mtok|per_\w+)`", TEXT[TEXT.index("## Prices") :]))
    assert named == set(fields(schema.PriceSpec))


@pytest.mark.parametrize("title", ["`listen`", "`limits`"])
def test_defaults_are_those_of_the_schema(title):
    default = TABLES[title]()
    for key, cells in rows(title).items():
        value = getattr(default, key)
        if isinstance(value, int | float | str):
            assert cells[1] == f"{value:g}" if isinstance(value, float) else cells[1] == str(value), key


def test_a_planned_key_is_in_no_type_of_the_schema():
    assert not schema.PLANNED & set(fields(schema.Config))
    for name, keys in schema.PLANNED_WITHIN.items():
        assert not keys & set(fields(getattr(schema, name)))
