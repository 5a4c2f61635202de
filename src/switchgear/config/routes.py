"""What a configuration says of routing, checked and turned into what routing reads, and back. Level 1."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from switchgear.config import schema
from switchgear.config.reader import near
from switchgear.core import limit_rule
from switchgear.core.text import shown
from switchgear.routing import retry
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import NEEDS, When
from switchgear.routing.retry import RetryRules
from switchgear.routing.table import DeploymentEntry, ModelEntry

KINDS = ("context_length", "content_policy")
"""Kinds of errors with fallbacks of their own (dialects/meanings)."""
LABELS_MAX = 32
LABEL_MAX = 64
SHARED_MAX = 2**31 - 1
"""Larger limits are counted in coarser units (policies/windows)."""
_PERCENT = re.compile(r"(100|[0-9]{1,2}(?:\.[0-9]{1,2})?)%")
_STATUS = re.compile(r"[45](?:xx|[0-9]{2})")


def check(model: schema.Model) -> Iterator[tuple[str, str]]:
    """Return (path below the model, message) of everything that is wrong with how it is routed."""
    for number, word in enumerate(model.retry.on or ()):
        if not _STATUS.fullmatch(str(word)) and word not in retry.WORDS:
            known = f"a status (503, 5xx) or one of {', '.join(retry.WORDS)}{near(str(word), retry.WORDS)}"
            yield f"retry.on[{number}]", f"{shown(str(word))} must be {known}"
    if not _PERCENT.fullmatch(model.breaker.error_rate):
        yield "breaker.error_rate", f"{shown(model.breaker.error_rate)} must be a percentage such as 50%"
    for kind in model.fallback_on:
        if kind not in KINDS:
            yield (
                f"fallback_on.{kind}",
                f"{shown(kind)} is no kind of error; known are {', '.join(KINDS)}{near(kind, KINDS)}",
            )
    yield from check_labels("require", model.require)
    for number, deployment in enumerate(model.deployments):
        at = f"deployments[{number}]"
        yield from check_labels(f"{at}.labels", deployment.labels)
        if deployment.when is not None:
            yield from _check_when(f"{at}.when", deployment.when)
        yield from _check_share(f"{at}.share", deployment)
    yield from _check_canaries(model)


def _check_canaries(model: schema.Model) -> Iterator[tuple[str, str]]:
    shares: dict[int, float] = {}
    ordinary = {one.tier for one in model.deployments if one.canary is None}
    for number, deployment in enumerate(model.deployments):
        if deployment.canary is None:
            continue
        at, share = f"deployments[{number}].canary", percent_of(deployment.canary)
        if share is None:
            yield at, f"{shown(deployment.canary)} must be a percentage such as 5%"
            continue
        if deployment.tier not in ordinary:
            yield at, f"tier {deployment.tier} has no other deployment, so the other sessions would have none"
        shares[deployment.tier] = shares.get(deployment.tier, 0.0) + share
        if shares[deployment.tier] > 1.0:
            yield at, f"the canaries of tier {deployment.tier} have more than 100% together"


def _check_share(path: str, deployment: schema.Deployment) -> Iterator[tuple[str, str]]:
    if not deployment.share:
        return
    for name, text in deployment.share.items():
        if percent_of(text) is None:
            yield f"{path}.{name}", f"{shown(text)} must be a percentage such as 60%"
    whole = sum(Decimal(str(share)) for share in shares_of(deployment).values())
    if whole > 1:
        yield path, f"{percent_written(float(whole))} of a limit are more than there is"
    rules = [rule for rule in limit_rule.rules_of(deployment) if rule.per is None]
    if not rules:
        yield path, "there is nothing to share: the deployment has no rpm, tpm, parallel or limits of its own"
    if any(rule.amount > SHARED_MAX for rule in rules):
        yield path, f"a limit above {SHARED_MAX} cannot be shared"
    yield from check_labels(path, dict.fromkeys(deployment.share, "-"))


def shares_of(deployment: schema.Deployment) -> dict[str, float]:
    """Return the shares that are some (`check` says which are none)."""
    read = {name: percent_of(text) for name, text in deployment.share.items()}
    return {name: share for name, share in read.items() if share is not None}


def percent_of(text: str | None) -> float | None:
    """Read `5%` as a share of 1; None where it is none (`check` says it)."""
    found = _PERCENT.fullmatch(text) if text is not None else None
    return None if found is None else float(Decimal(found.group(1)) / 100)


def percent_written(share: float) -> str:
    """Return a share as `percent_of` reads it."""
    return f"{format(Decimal(str(share)) * 100, 'f').rstrip('0').rstrip('.') if share else '0'}%"


def check_labels(path: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return (path, message) of everything that is wrong with labels."""
    if len(labels) > LABELS_MAX:
        yield path, f"at most {LABELS_MAX} labels"
    for name, value in labels.items():
        for text in (name, value):
            if not text or len(text) > LABEL_MAX or not text.isprintable():
                yield f"{path}.{name}", f"{shown(text)} must have 1 to {LABEL_MAX} printable characters"


def _check_when(path: str, when: schema.When) -> Iterator[tuple[str, str]]:
    for key in ("needs", "without"):
        for number, word in enumerate(getattr(when, key) or ()):
            if word not in NEEDS:
                yield f"{path}.{key}[{number}]", f"{shown(word)} must be one of {', '.join(NEEDS)}{near(word, NEEDS)}"
    both = set(when.needs or ()) & set(when.without or ())
    if both:
        yield path, f"`needs` and `without` both name {', '.join(sorted(both))}: no request has both"
    if when.tokens_min is not None and when.tokens_max is not None and when.tokens_min > when.tokens_max:
        yield path, f"no request has at least {when.tokens_min} and at most {when.tokens_max} tokens"
    for key in ("tags", "keys", "teams", "needs"):
        if getattr(when, key) == []:
            yield f"{path}.{key}", "an empty list lets nothing through: remove it"


def when_of(when: schema.When | None) -> When | None:
    """Return conditions as routing reads them."""
    if when is None:
        return None
    return msgspec.convert(msgspec.to_builtins(when), When)


def retry_of(spec: schema.Retry) -> RetryRules:
    """Return what is tried again, beside how often."""
    return RetryRules(on=None if spec.on is None else tuple(map(str, spec.on)), backoff_s=spec.backoff_s)


def breaker_of(spec: schema.Breaker) -> BreakerRules:
    """Return when a breaker opens. A share that is none is as 50% (`check` says it)."""
    rate = percent_of(spec.error_rate)
    return BreakerRules(
        failures=spec.failures,
        error_rate=0.5 if rate is None else rate,
        requests_min=spec.requests_min,
        probe_s=spec.probe_s,
    )


def written(entry: ModelEntry) -> dict[str, Any]:
    """Return the keys of a model that say how it is routed, as a file says them; those with their defaults are left out."""
    default, found = ModelEntry(name=""), {}
    again: dict[str, Any] = {"max": entry.retries_max} if entry.retries_max != default.retries_max else {}
    if entry.retry.on is not None:
        again["on"] = list(entry.retry.on)
    if entry.retry.backoff_s != default.retry.backoff_s:
        again["backoff_s"] = entry.retry.backoff_s
    if again:
        found["retry"] = again
    rules = {
        name: getattr(entry.breaker, name)
        for name in BreakerRules.__struct_fields__
        if getattr(entry.breaker, name) != getattr(default.breaker, name)
    }
    if "error_rate" in rules:
        rules["error_rate"] = percent_written(rules["error_rate"])
    if rules:
        found["breaker"] = rules
    if entry.hedge_s is not None:
        found["hedge"] = {"after_s": entry.hedge_s}
    if entry.require:
        found["require"] = dict(entry.require)
    if entry.fallback_on:
        found["fallback_on"] = {kind: list(names) for kind, names in entry.fallback_on.items()}
    return found


def deployment_written(entry: DeploymentEntry) -> dict[str, Any]:
    """Return the keys of a deployment that say which requests it gets."""
    found: dict[str, Any] = {}
    if entry.weight != 1.0:
        found["weight"] = entry.weight
    if entry.labels:
        found["labels"] = dict(entry.labels)
    if entry.when is not None:
        given = {name: getattr(entry.when, name) for name in When.__struct_fields__}
        found["when"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None
        }
    if entry.share:
        found["share"] = {name: percent_written(share) for name, share in entry.share.items()}
    if entry.canary is not None:
        found["canary"] = percent_written(entry.canary)
    return found
