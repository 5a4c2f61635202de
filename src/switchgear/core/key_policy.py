"""What a virtual key may do, and whom its use is booked to: the only place that spells these fields. Level 0.

Whatever holds a key's policy *is* a KeyPolicy: keys of a configuration file (config/compile), rows of the store (one JSON
column), entries of the replica. What people write (the file's `keys`, bodies of the admin API) is a WrittenPolicy, whose times
are text. A new field is one line of `Terms`, and an option of `switchgear key create` (cli/key; a test names one that lacks).

Encoded, a field that has its default is left out, and a field that this program does not know is refused: stored keys need no
migration when a field is added, and an older program refuses a key with a limit that it would ignore.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from switchgear.core import budget_rule, cache_rule, ceilings, limit_rule
from switchgear.core.budget_rule import Budgets
from switchgear.core.iso_time import format_time, parse_time
from switchgear.core.network import NETWORKS_MAX, check_network
from switchgear.core.path_rule import check_key_rule
from switchgear.core.text import shown

LABEL_MAX = 64
DEPLOYMENT = "deployment"
"""The label that each deployment has by itself: `provider/model@credential`. Who requires it is served by that one alone."""
DEPLOYMENT_MAX = 400
MODEL_MAX = 256


def _about(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class Rules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields that are the same for a key and for whatever a key may belong to (core/organisation); None: no limit. Their
    descriptions are those of the API's document, and the help of the command line's options."""

    models: Annotated[list[str] | None, _about("Models and patterns it may call; default: all.")] = None
    cidrs: Annotated[list[str] | None, _about("Networks it may be used from; default: any.")] = None
    tags: Annotated[list[str] | None, _about("Tags on every record of the key.")] = None
    passthrough: Annotated[
        list[str] | None, _about("Raw paths of providers that it may use, e.g. `openai POST /audio/*`.")
    ] = None
    rpm: Annotated[int | None, _about("Requests per minute.")] = None
    tpm: Annotated[int | None, _about("Tokens per minute, input and output.")] = None
    parallel: Annotated[int | None, _about("Requests at once.")] = None
    limits: Annotated[list[str] | None, _about("Further limits, e.g. `5000 requests/day`.")] = None
    budget: Annotated[
        Budgets | None, _about("What it may spend, e.g. `50/month`, `500000 tokens/day` or `10/day per end_user`.")
    ] = None
    require: Annotated[
        dict[str, str] | None,
        _about("Labels that a deployment must have to serve it, e.g. `region=eu`; `a|b` is one of several."),
    ] = None
    ceilings: Annotated[
        dict[str, str | int] | None,
        _about("What one request may ask at most, e.g. `output_tokens=4096`, `effort=low`; `over=refuse` refuses it."),
    ] = None
    cache: Annotated[
        dict[str, str] | None,
        _about("How long its answers are kept for the same request of its team, e.g. `ttl=10m`; `ttl=off`: never."),
    ] = None


class Terms(Rules, frozen=True, kw_only=True, omit_defaults=True):
    """The fields that are the same wherever a key is described. Whom it names exists (core/organisation): programs hold ids, people
    write names."""

    team: Annotated[str | None, _about("Team that it belongs to and its use is booked to.")] = None
    user: Annotated[str | None, _about("User whose it is and its use is booked to.")] = None
    project: Annotated[str | None, _about("Project that it belongs to and its use is booked to.")] = None
    profile: Annotated[str | None, _about("Profile whose rules hold for it, too.")] = None


class KeyPolicy(Terms, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key's policy as programs hold it."""

    expires_ms: Annotated[int | None, _about("When it stops to hold; default: never.")] = None


class WrittenPolicy(Terms, frozen=True, kw_only=True, omit_defaults=True):
    """A key's policy as people write it, and programs that call the admin API."""

    expires: Annotated[str | None, _about("When it stops to hold, ISO 8601; default: never.")] = None

    TIMES: ClassVar[dict[str, str]] = {"expires": "expires_ms"}
    """Fields that are text here, with their names in a KeyPolicy."""


_TOLD_AS_LISTS: dict[str, Any] = {
    "tags": list[str],
    "passthrough": list[str],
    "limits": list[str],
    "budget": list[budget_rule.Written],
}
"""Without a value an empty list, where answers tell them: none of them is not the same as all."""

if TYPE_CHECKING:

    class ToldPolicy(msgspec.Struct, kw_only=True):
        """A policy as answers tell it: every field."""

    class ChangedPolicy(msgspec.Struct, kw_only=True):
        """What changes of a policy: a field that is not given stays, null clears it."""

else:  # made of the fields above, so that nobody repeats them
    ToldPolicy = msgspec.defstruct(
        "ToldPolicy",
        [(f.name, _TOLD_AS_LISTS.get(f.name, f.type)) for f in msgspec.structs.fields(KeyPolicy)],
        kw_only=True,
    )
    ChangedPolicy = msgspec.defstruct(
        "ChangedPolicy",
        [(f.name, f.type | msgspec.UnsetType, msgspec.UNSET) for f in msgspec.structs.fields(WrittenPolicy)],
        kw_only=True,
    )

FIELDS: tuple[str, ...] = KeyPolicy.__struct_fields__
WRITTEN: tuple[str, ...] = WrittenPolicy.__struct_fields__
LABELS = ("team", "user", "project")
"""Fields that name somebody whose use is summed up, and who can be frozen."""
REFERENCES = (*LABELS, "profile")
"""Fields that name something that exists by itself (core/organisation)."""
NOBODY = KeyPolicy(models=[], cidrs=[], passthrough=[])
"""The policy of a key whose own cannot be read."""


def fields_of(policy: KeyPolicy) -> dict[str, Any]:
    """Return a policy's values by name, of a KeyPolicy or of what is more than one: arguments for another that holds it."""
    return {name: getattr(policy, name) for name in FIELDS}


def policy_of(holder: KeyPolicy) -> KeyPolicy:
    """Return the policy alone of what holds one."""
    return KeyPolicy(**fields_of(holder))


def told(policy: KeyPolicy) -> dict[str, Any]:
    """Return a policy as answers tell it, all fields by name."""
    lists = {name: getattr(policy, name) or [] for name in _TOLD_AS_LISTS}
    return fields_of(policy) | lists | {"budget": budget_rule.each(policy.budget)}


def read(written: WrittenPolicy) -> KeyPolicy:
    """Return what was written as programs hold it; look at `check` first: a time that is none is left out here."""
    return KeyPolicy(**converted({name: getattr(written, name) for name in WRITTEN}))


def changes_of(changed: msgspec.Struct) -> dict[str, Any]:
    """Return the written values that a ChangedPolicy gives, by name."""
    return {name: value for name in WRITTEN if (value := getattr(changed, name)) is not msgspec.UNSET}


def converted(values: dict[str, Any]) -> dict[str, Any]:
    """Return written values by their names in a KeyPolicy, with times in milliseconds; of some fields or of all."""
    return {
        WrittenPolicy.TIMES.get(name, name): parse_time(value) if name in WrittenPolicy.TIMES and value else value
        for name, value in values.items()
    }


def write(policy: KeyPolicy) -> dict[str, Any]:
    """Return a policy as a file says it: the fields that have a value."""
    return written_fields(policy, WRITTEN)


def written_fields(policy: KeyPolicy, names: Iterable[str]) -> dict[str, Any]:
    """Return some of a policy's values as a file says them: those that have one, by the names under which they are written."""
    values = {name: getattr(policy, WrittenPolicy.TIMES.get(name, name)) for name in names}
    return {
        name: format_time(value) if name in WrittenPolicy.TIMES else value
        for name, value in values.items()
        if value is not None
    }


def check(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (path, message) of everything that is wrong with written values, by name; of some fields or of all."""
    for name in REFERENCES:
        yield from check_label(name, values.get(name))
    for path, text in _items(values, "tags"):
        yield from check_label(path, text)
    for path, text in _items(values, "models"):
        if not text or len(text) > MODEL_MAX:
            yield path, f"{shown(text)} is not a model name"
    if len(values.get("cidrs") or ()) > NETWORKS_MAX:
        yield "cidrs", f"at most {NETWORKS_MAX} networks in one list; networks that hold others are enough"
    for path, text in _items(values, "cidrs"):
        wrong = check_network(text)
        if wrong is not None:
            yield path, wrong
    for path, text in _items(values, "passthrough"):
        wrong = check_key_rule(text)
        if wrong is not None:
            yield path, wrong
    yield from limit_rule.check(values)
    yield from budget_rule.check(values)
    for path, message in ceilings.check(values.get("ceilings")):
        yield f"ceilings.{path}", message
    for path, message in cache_rule.check(values.get("cache")):
        yield f"cache.{path}" if path else "cache", message
    for name, value in (values.get("require") or {}).items():
        for text in (name, value):
            yield from check_label(f"require.{name}", text, DEPLOYMENT_MAX if name == DEPLOYMENT else LABEL_MAX)
    for name in WrittenPolicy.TIMES:
        time = values.get(name)
        if time is not None and parse_time(time) is None:
            example = "2027-01-31 or 2027-01-31T18:00:00Z"
            yield name, f"{shown(time)} is not an ISO 8601 date or time, such as {example}"


def _items(values: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(values.get(name) or ()):
        yield f"{name}[{number}]", text


def check_label(path: str, text: str | None, most: int = LABEL_MAX) -> Iterator[tuple[str, str]]:
    """Return (path, message) of a text that is no label."""
    if text is not None and (not text or len(text) > most or not text.isprintable()):
        yield path, f"{shown(text)} must have 1 to {most} printable characters"


def description_of(field: str) -> str:
    """Return what a field means, in a sentence."""
    return _DESCRIPTIONS[field]


def _described(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(kind):
        for note in getattr(field.type, "__metadata__", ()):
            yield field.name, note.description


_DESCRIPTIONS: dict[str, str] = dict(_described(WrittenPolicy))

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(KeyPolicy).decode
