"""What keys belong to: teams, users, projects, profiles; what each may say, and what holds for a key of all of them. Level 0, pure.

Each is a holder: it has an id that never changes, a name that may, and rules of the same kind as a key's. Teams nest (`parent`), a
project belongs to a team. A profile holds for what names it: a key, a user, a team. What a holder says binds all its keys: none may
be looser than what it belongs to. Limits are counted for whoever says them, so a team's are shared by its keys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from switchgear.core import cache_rule, key_policy
from switchgear.core.key_policy import KeyPolicy, Rules
from switchgear.core.network import both

DEPTH_MAX = 8
"""Teams in one another: LiteLLM's organisation and team are two, a company's tree is about five."""
ID_MAX = 64
COST_CENTER = "cost_center"
"""The tag that says it on records."""


def _about(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


_COST_CENTER = Annotated[str | None, _about("Cost center: the tag `cost_center` on every record.")]
_PROFILE = Annotated[str | None, _about("Profile whose rules hold for its keys, too.")]


class WrittenRules(Rules, frozen=True, kw_only=True, omit_defaults=True):
    """What is the same for all of them as people write it."""

    expires: Annotated[str | None, _about("When its keys stop to hold, ISO 8601; default: never.")] = None

    TIMES: ClassVar[dict[str, str]] = key_policy.WrittenPolicy.TIMES


class Team(WrittenRules, frozen=True, kw_only=True, omit_defaults=True):
    """A team: its keys, and those of the teams below it, share its limits."""

    parent: Annotated[str | None, _about("Team that it is a part of.")] = None
    profile: _PROFILE = None
    cost_center: _COST_CENTER = None


class User(WrittenRules, frozen=True, kw_only=True, omit_defaults=True):
    """A person: all the keys share its limits."""

    profile: _PROFILE = None
    cost_center: _COST_CENTER = None


class Project(WrittenRules, frozen=True, kw_only=True, omit_defaults=True):
    """A project, of a team or by itself: its keys share its limits."""

    team: Annotated[str | None, _about("Team that it belongs to.")] = None
    cost_center: _COST_CENTER = None


class Profile(WrittenRules, frozen=True, kw_only=True, omit_defaults=True):
    """Rules that hold for whatever names it: keys, users, teams. Its limits are counted for each person, or for each key that is
    nobody's."""

    pot: Annotated[
        str | None, _about("Whose limits they are: `person` (all keys of one user together; default) or `key`.")
    ] = None


class HolderPolicy(KeyPolicy, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a holder of any kind says, as programs hold it; references are ids. `user` and `project` are never set."""

    parent: str | None = None
    cost_center: str | None = None
    pot: str | None = None


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of holder."""

    name: str
    plural: str
    written: type[Rules]
    """What people write of it."""
    references: dict[str, str] = {}
    """Fields that name another holder, with its kind."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What people write, by name."""
        return self.written.__struct_fields__


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="team", plural="teams", written=Team, references={"parent": "team", "profile": "profile"}),
        Kind(name="user", plural="users", written=User, references={"profile": "profile"}),
        Kind(name="project", plural="projects", written=Project, references={"team": "team"}),
        Kind(name="profile", plural="profiles", written=Profile),
    )
}
POTS = ("person", "key")
KEY_REFERENCES: dict[str, str] = {name: name for name in key_policy.REFERENCES}
"""Fields of a key that name a holder, with its kind."""

FIELDS: tuple[str, ...] = HolderPolicy.__struct_fields__


def fields_of(policy: HolderPolicy) -> dict[str, Any]:
    """Return a policy's values by name: arguments for another that holds it."""
    return {name: getattr(policy, name) for name in FIELDS}


def policy_of(holder: HolderPolicy) -> HolderPolicy:
    """Return the policy alone of what holds one."""
    return HolderPolicy(**fields_of(holder))


def read(kind: Kind, written: Rules) -> HolderPolicy:
    """Return what was written as programs hold it; look at `check` first."""
    return HolderPolicy(**key_policy.converted({name: getattr(written, name) for name in kind.fields}))


def told(kind: Kind, policy: HolderPolicy) -> dict[str, Any]:
    """Return a policy as answers tell it: every field of its kind by the name under which programs hold it."""
    names = [WrittenRules.TIMES.get(name, name) for name in kind.fields]
    return {name: value for name, value in (key_policy.told(policy) | _more(policy)).items() if name in names}


def _more(policy: HolderPolicy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in ("parent", "cost_center", "pot")}


def write(kind: Kind, policy: HolderPolicy) -> dict[str, Any]:
    """Return a policy as a file says it: the fields that have a value."""
    return key_policy.written_fields(policy, kind.fields)


def check(kind: Kind, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (path, message) of everything that is wrong with written values, by name; of some fields or of all. Whether what it
    names exists is looked up elsewhere."""
    yield from key_policy.check(dict(values))
    for name in ("parent", "cost_center"):
        yield from key_policy.check_label(name, values.get(name))
    pot = values.get("pot")
    if pot is not None and pot not in POTS:
        yield "pot", f"{pot[:64]!r} must be {' or '.join(POTS)}"


def round_trip(start: str, parent: Callable[[str], str | None]) -> list[str] | None:
    """Return the circle that the parents of a team make, or the way up where it is too long; None where it ends. Ids."""
    way, at = [start], parent(start)
    while at is not None:
        way.append(at)
        if at == start or len(way) > DEPTH_MAX:
            return way
        at = parent(at)
    return None


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a key of all that it belongs to: the tightest of each."""

    models: tuple[tuple[str, ...], ...]
    """Lists that a model's name must match, each of them; none: all models."""
    passthrough: tuple[tuple[str, ...], ...]
    """Lists of which each must allow a raw path; none: no raw path."""
    cidrs: list[str] | None
    expires_ms: int | None
    tags: list[str] | None
    require: dict[str, str] | None
    cache: dict[str, str] | None


def effective(policies: Sequence[KeyPolicy]) -> Effective:
    """Return what holds of several policies together, the key's last."""
    cidrs, require, tags = None, dict[str, str](), dict[str, None]()
    for policy in policies:
        if policy.cidrs is not None:
            cidrs = policy.cidrs if cidrs is None else both(cidrs, policy.cidrs)
        for name, wanted in (policy.require or {}).items():
            require[name] = _both_values(require[name], wanted) if name in require else wanted
        tags |= dict.fromkeys(_tags_of(policy))
    ttl_s = cache_rule.tightest(*(cache_rule.seconds_of(policy.cache) for policy in policies))
    ends = [policy.expires_ms for policy in policies if policy.expires_ms is not None]
    return Effective(
        models=tuple(dict.fromkeys(tuple(policy.models) for policy in policies if policy.models is not None)),
        passthrough=tuple(
            dict.fromkeys(tuple(policy.passthrough) for policy in policies if policy.passthrough is not None)
        ),
        cidrs=cidrs,
        expires_ms=min(ends, default=None),
        tags=_last_cost_center(tags) or None,
        require=require or None,
        cache=None if ttl_s is None else {"ttl": cache_rule.write(ttl_s)},
    )


def _both_values(one: str, other: str) -> str:
    """Return the values of a label that two rules allow; a text that no label has where there is none."""
    return "|".join(value for value in one.split("|") if value in other.split("|")) or f"{one}&{other}"


def _tags_of(policy: KeyPolicy) -> list[str]:
    center = getattr(policy, "cost_center", None)
    return [*(policy.tags or ()), *([f"{COST_CENTER}={center}"] if center is not None else ())]


def _last_cost_center(tags: Iterable[str]) -> list[str]:
    """Leave one cost center: that of whoever is nearest to the key."""
    mark = f"{COST_CENTER}="
    found = list(tags)
    last = next((tag for tag in reversed(found) if tag.startswith(mark)), None)
    return [tag for tag in found if not tag.startswith(mark) or tag == last]


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(HolderPolicy).decode
NOBODY = HolderPolicy(**key_policy.fields_of(key_policy.NOBODY))
"""The policy of a holder whose own cannot be read: its keys may do nothing."""
