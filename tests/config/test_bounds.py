"""Numbers have bounds, all of them."""

import typing

import msgspec
import pytest

from switchgear.config import bounds, schema
from switchgear.config.reader import Reader


def structs(kind, seen):
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in seen:
            seen.add(kind)
            for inner in typing.get_type_hints(kind).values():
                structs(inner, seen)
    else:
        for inner in typing.get_args(kind):
            structs(inner, seen)
    return seen


def numbers():
    for kind in structs(schema.Config, set()):
        for name, hint in typing.get_type_hints(kind).items():
            options = {hint, *typing.get_args(hint)}
            if options & {int, float}:
                yield kind, name


@pytest.mark.parametrize(("kind", "name"), sorted(numbers(), key=str), ids=lambda v: getattr(v, "__name__", v))
def test_every_number_of_the_schema_has_bounds(kind, name):
    assert name in bounds.BOUNDS.get(kind, {})


@pytest.mark.parametrize(
    "text",
    [
        "limits: {head_s: -1}",
        "limits: {head_s: .nan}",
        "limits: {head_s: 1e999}",
        "limits: {connections_max: -5}",
        "models: {a: {deployments: [{provider: openai, model: m, tier: -1}]}}",
        "models: {a: {timeouts: {idle_s: 0}, alias: b}}",
        "retention: {journal_hours: 0}",
        "providers: {openai: {credentials: [{sealed: true, ceilings: {concurrency: -1}}]}}",
    ],
)
def test_numbers_out_of_bounds_are_found(text):
    reader = Reader(lambda kind, name: None)
    config = reader.read(reader.compose(text, "x"))
    assert [*bounds.check(config), *reader.problems]
