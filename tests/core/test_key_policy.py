"""A key's policy: what is written becomes what decides and back, what is wrong is named, nothing is overlooked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from switchgear.core import key_policy
from switchgear.core.budget_rule import BudgetSpec, Route
from switchgear.core.key_policy import KeyPolicy, WrittenPolicy

WRITTEN = {
    "team": "research",
    "user": "ann@example.com",
    "project": "p1",
    "profile": "standard",
    "models": ["openai/*"],
    "cidrs": ["10.0.0.0/8"],
    "tags": ["cost_center=4711"],
    "passthrough": ["openai POST /audio/*"],
    "rpm": 60,
    "tpm": 100_000,
    "parallel": 4,
    "limits": ["5000 requests/day"],
    "budget": ["50/month", BudgetSpec(limit="5/day", soft="80%", on_spent=Route("cheap"))],
    "require": {"region": "eu"},
    "ceilings": {"output_tokens": 4096, "effort": "low"},
    "cache": {"ttl": "10m"},
    "expires": "2027-01-15T08:00:00Z",
}
POLICY = KeyPolicy(**{k: v for k, v in WRITTEN.items() if k != "expires"}, expires_ms=1_800_000_000_000)


def test_a_written_policy_is_read_and_written_back_unchanged():
    assert set(WRITTEN) == set(key_policy.WRITTEN)
    assert key_policy.read(WrittenPolicy(**WRITTEN)) == POLICY
    assert key_policy.write(POLICY) == WRITTEN


def test_a_policy_without_limits_is_written_as_nothing():
    assert key_policy.write(KeyPolicy()) == {}
    assert key_policy.read(WrittenPolicy()) == KeyPolicy()


def test_some_written_values_become_some_fields():
    changes = key_policy.converted({"expires": None, "team": "x"})
    assert changes == {"expires_ms": None, "team": "x"}
    assert key_policy.converted({"expires": "1970-01-02"}) == {"expires_ms": 86_400_000}


class Holder(KeyPolicy, frozen=True, kw_only=True):
    name: str


def test_a_policy_is_taken_out_of_the_struct_that_embeds_it():
    holder = Holder(name="k", **key_policy.fields_of(POLICY))
    assert key_policy.policy_of(holder) == POLICY
    assert type(key_policy.policy_of(holder)) is KeyPolicy
    assert "name" not in key_policy.told(holder)


def test_answers_tell_every_field_and_lists_that_are_empty():
    assert key_policy.told(KeyPolicy()) == {
        **dict.fromkeys(
            (
                "team",
                "user",
                "project",
                "profile",
                "models",
                "cidrs",
                "expires_ms",
                "rpm",
                "tpm",
                "parallel",
                "require",
                "cache",
                "ceilings",
            )
        ),
        "limits": [],
        "budget": [],
        "tags": [],
        "passthrough": [],
    }


def test_encoded_a_default_is_left_out_so_that_a_new_field_needs_no_migration():
    assert key_policy.encode(KeyPolicy()) == b"{}"
    assert json.loads(key_policy.encode(KeyPolicy(models=[]))) == {"models": []}, "no model at all is not every model"
    assert key_policy.decode(key_policy.encode(POLICY)) == POLICY


def test_a_field_of_a_newer_program_is_refused_and_not_overlooked():
    with pytest.raises(msgspec.ValidationError, match="budget_of_tomorrow"):
        key_policy.decode(b'{"team": "a", "budget_of_tomorrow": 5}')


def test_a_policy_that_cannot_be_read_allows_nothing():
    assert (key_policy.NOBODY.models, key_policy.NOBODY.cidrs, key_policy.NOBODY.passthrough) == ([], [], [])


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"team": ""}, "team", "1 to 64 printable"),
        ({"user": "x" * 65}, "user", "1 to 64 printable"),
        ({"project": "a\x1b[2J"}, "project", "1 to 64 printable"),
        ({"tags": ["a=b", ""]}, "tags[1]", "1 to 64 printable"),
        ({"models": [""]}, "models[0]", "is not a model name"),
        ({"models": ["m", "x" * 257]}, "models[1]", "is not a model name"),
        ({"cidrs": ["10.0.0.1/8"]}, "cidrs[0]", "write 10.0.0.0/8"),
        ({"passthrough": ["POST /x"]}, "passthrough[0]", "must be a provider"),
        ({"require": {"region": ""}}, "require.region", "1 to 64 printable"),
        ({"ceilings": {"effort": "huge"}}, "ceilings.effort", "one of none"),
        ({"cache": {"ttl": "soon"}}, "cache.ttl", "such as 30s"),
        ({"cache": {"ttl": "25h"}}, "cache.ttl", "at most 24h"),
        ({"cache": {}}, "cache", "needs `ttl`"),
        ({"cache": {"ttl": "1h", "size": "3"}}, "cache.size", "say `ttl`"),
        ({"expires": "someday"}, "expires", "ISO 8601"),
        ({"expires": ""}, "expires", "ISO 8601"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(values, path, message):
    ((where, what),) = key_policy.check(values)
    assert where == path and message in what
    assert "\x1b" not in what


def test_right_values_and_none_at_all_pass():
    assert list(key_policy.check(WRITTEN)) == []
    assert list(key_policy.check(dict.fromkeys(WRITTEN))) == []
    assert list(key_policy.check({})) == []


def test_every_field_is_described():
    for name in key_policy.WRITTEN:
        assert key_policy.description_of(name).endswith(".")


SOURCES = Path(key_policy.__file__).parents[1]
NEW_FIELD = """
import pathlib, sys, yaml, msgspec
from switchgear.cli import key_fields
from switchgear.config import document
from switchgear.config.compile import Compiled, Compiler
from switchgear.config.reader import Reader
from switchgear.control import answers, file_keys, key_routes, publication
from switchgear.core import key_policy
from switchgear.core.budget_rule import BudgetSpec, Route
from switchgear.replica import entries
from switchgear.store import objects
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store

assert "probes" in key_policy.FIELDS
reader = Reader(lambda kind, name: None)
text = "keys: {a: {sha256: '%s', probes: 5}}" % ("ab" * 32)
compiler = Compiler(reader.read(reader.compose(text, "x")), reader, lambda path: None)
compiled = compiler.compile()
assert not reader.problems + compiler.problems and compiled.keys[0].probes == 5, "the file says it"
assert document.of(compiled)["keys"]["a"]["probes"] == 5, "an export says it"
store = Store(SqliteBackend(pathlib.Path(sys.argv[1]) / "store.sqlite"), True, lambda count: bytes(count), bytes(32))
store.write(lambda c: file_keys.sync(c, compiled, {1: b"p" * 32}, 1)).result()
(row,) = store.read(objects.keys).result()
store.close()
assert row.probes == 5, "the store keeps it"
assert entries.decode_key(entries.encode(publication.key_entry(row))).probes == 5, "edges have it"
assert key_routes._key(row)["probes"] == 5 == msgspec.convert(key_routes._key(row), answers.Key).probes, "answers tell it"
assert msgspec.convert({"name": "b", "probes": 7}, key_routes.KeyCreate).probes == 7, "POST takes it"
assert key_policy.changes_of(msgspec.convert({"probes": None}, key_routes.KeyChange)) == {"probes": None}, "PATCH takes it"
assert set(key_policy.WRITTEN) - set(key_fields.KEY_FIELDS) == {"probes"}, "an option is all that lacks"
"""


def test_a_new_field_is_one_line_and_an_option(tmp_path):
    shutil.copytree(SOURCES, tmp_path / "switchgear", ignore=shutil.ignore_patterns("__pycache__", "data"))
    path = tmp_path / "switchgear" / "core" / "key_policy.py"
    line = '    project: Annotated[str | None, _about("Project'
    source = path.read_text()
    assert line in source
    path.write_text(source.replace(line, f'    probes: Annotated[int | None, _about("Probes.")] = None\n{line}'))
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{NEW_FIELD}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
