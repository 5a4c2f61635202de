"""The limits that hold for a request, made ready once for each key, model and deployment. Level 4; pure.

Whoever asks for what costs nothing (counting tokens, what is stored) has the same limits of requests, counted apart: asking how
long a prompt is takes nothing from those who send prompts.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from switchgear.core import limit_rule
from switchgear.core.limit_rule import LimitRule
from switchgear.edge import shared_limits
from switchgear.edge.holders import ORGANISATION, holders_of
from switchgear.edge.shared_limits import SharedLimit
from switchgear.policies import limits
from switchgear.policies.buckets import Bucket, Hold
from switchgear.policies.limits import Expected, Limit, Unit
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing.table import ModelEntry, ProviderEntry, Route

FREE = "/free"
"""Behind the subject of what is counted apart."""
_AT_THE_HEAD = frozenset({Unit.REQUESTS, Unit.PARALLEL})
_OF_FREE = _AT_THE_HEAD
"""What is counted of requests that cost nothing."""


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, for limits that have one bucket for each value of a dimension."""

    key_id: str
    user: str | None = None
    end_user: str | None = None
    model: str | None = None
    client: str | None = None
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """What shares of a limit know it by: its key's name, team and tags. Nothing of it is the client's to say."""

    def of(self, dimension: str) -> str:
        """Return the value of a dimension. Those who do not say it have one value, "", together."""
        if dimension.startswith(limit_rule.TAG):
            begin = dimension.removeprefix(limit_rule.TAG) + "="
            return next((tag.removeprefix(begin) for tag in self.tags if tag.startswith(begin)), "")
        return getattr(self, dimension) or ""


class LimitSet(msgspec.Struct, frozen=True):
    """Limits that are taken together."""

    limits: tuple[Limit, ...] = ()
    buckets: tuple[Bucket | None, ...] = ()
    """In the limits' order; None where each value of a dimension has one."""
    looks: tuple[Hold, ...] = ()
    """What can be looked at before a body is there (`counters.peek`): one more request and slot."""
    looked_at: tuple[Limit, ...] = ()
    """Their limits, in that order."""
    shared: tuple[SharedLimit, ...] = ()
    """Those that classes of requests share."""

    def holds(self, expected: Expected, values: Values) -> list[Hold]:
        """Return what a request wants, in the limits' order."""
        return [
            Hold(
                bucket if bucket is not None else limits.bucket_of(limit, values.of(limit.per or ""), values.key_id),
                expected.amount(limit.unit),
            )
            for limit, bucket in zip(self.limits, self.buckets, strict=True)
        ]


class Limits(msgspec.Struct, frozen=True):
    """What is held for a request, by whether it costs something."""

    paid: LimitSet
    free: LimitSet
    kept: LimitSet = LimitSet()
    """For an answer that is kept here: the limits of requests, counted with the others."""


def of_key(key: KeyEntry, snapshot: Snapshot, route: Route | None, also: Iterable[ModelEntry] = ()) -> Limits | None:
    """Return the limits of who asks and of the model that is asked for; `also`: of models as which it is counted, too. None: there
    is none."""
    found = [
        limit for subject, policy in holders_of(key, snapshot) for limit in _of(subject, limit_rule.rules_of(policy))
    ]
    if route is not None and route.limits:
        found += _of(f"model:{route.entry}", route.limits)
    for model in also:
        found += _of(f"model:{model.name}", model.limits)
    return _limits(found)


def of_deployment(
    provider: ProviderEntry,
    rules: Iterable[tuple[str, Iterable[LimitRule]]],
    shares: Mapping[str, Mapping[str, float]] | None = None,
) -> Limits | None:
    """Return the limits of a deployment (`routing.limited`) and its provider; None: there is none. `shares`: by subject, whose."""
    found = [limit for subject, of_it in rules for limit in _of(f"deployment:{subject}", of_it)]
    made = _limits([*found, *_of(f"provider:{provider.name}", provider.limits)])
    if made is None or not shares:
        return made
    paid, by_subject = made.paid, {f"deployment:{subject}": of_it for subject, of_it in shares.items()}
    shared = tuple(shared_limits.shared(paid.limits, paid.buckets, by_subject))
    return Limits(msgspec.structs.replace(paid, shared=shared), made.free)


def _of(subject: str, rules: Iterable[LimitRule]) -> Iterator[Limit]:
    for rule in rules:
        yield Limit(subject=subject, unit=Unit(rule.unit), amount=rule.amount, window=rule.window, per=rule.per)


def _limits(found: list[Limit]) -> Limits | None:
    if not found:
        return None
    free = [msgspec.structs.replace(limit, subject=limit.subject + FREE) for limit in found if limit.unit in _OF_FREE]
    return Limits(_set(found), _set(free), _set([limit for limit in found if limit.unit in _AT_THE_HEAD]))


def _set(found: list[Limit]) -> LimitSet:
    buckets = [limits.bucket_of(limit) if limit.per is None else None for limit in found]
    looks = [
        (Hold(bucket, 1), limit)
        for limit, bucket in zip(found, buckets, strict=True)
        if bucket is not None and limit.unit in _AT_THE_HEAD
    ]
    return LimitSet(tuple(found), tuple(buckets), tuple(hold for hold, _ in looks), tuple(limit for _, limit in looks))


def written(limit: Limit) -> str:
    """Return a limit as people write it."""
    return limit_rule.write(LimitRule(limit.unit, limit.amount, limit.window, limit.per))


_SUBJECTS = {
    "key": "this API key",
    "team": "this key's team",
    "project": "this key's project",
    "user": "this key's user",
    "profile": "this key's profile",
    ORGANISATION: "all keys together",
    "model": "this model",
    "deployment": "every deployment of this model",
    "provider": "every deployment of this model",
}


def kind_of(limit: Limit) -> str:
    """Return the kind of a limit's subject: key, team, project, user, profile, organisation, model, deployment or provider."""
    return limit.subject.removesuffix(FREE).partition(":")[0]


def label(limit: Limit) -> str:
    """Return what a refusal is counted by: the kind of subject and what is limited, so of these there are few."""
    return f"{kind_of(limit)} {limit.unit}" + (f"/{limit.window}" if limit.window else "")


def described(limit: Limit) -> str:
    """Return a limit in the words that clients are told: no name of a provider, and no other tenant's."""
    return f"the limit of {written(limit)} of {_SUBJECTS[kind_of(limit)]}"
