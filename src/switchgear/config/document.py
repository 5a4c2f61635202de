"""From what is in force back to a configuration: the inverse of compiling. Level 1.

`config export`, `config diff` and `config history` all look at configurations in this shape: builtins that, written as YAML,
are a file which compiles to the same values. What cannot be said in a file is returned as notes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from switchgear.config import names, outward, routes, schema
from switchgear.config.compile import METERS_BY_KEY, AlertSpec, Compiled, FileKey, Process, ProviderSpec, build_provider
from switchgear.config.reader import Suggestions
from switchgear.core import budget_rule, cache_rule, ceilings, key_policy, limit_rule, organisation
from switchgear.core.iso_time import format_time
from switchgear.core.money import format_usd
from switchgear.pricing.catalog import list_of
from switchgear.pricing.price import MTOK, UNIT_PRICES, Price
from switchgear.providers.catalogue import GENERIC, PROVIDERS, ProviderRow
from switchgear.routing.table import DeploymentEntry, ModelEntry, Timeouts

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
Document = dict[str, Any]
ROUNDS_MAX = 20


def of(compiled: Compiled, notes: list[str] | None = None) -> Document:
    """Return a compiled configuration as a document."""
    noted = notes if notes is not None else []
    models: Document = {} if compiled.implicit else {"implicit": False}
    models |= {entry.name: model(entry, noted) for entry in compiled.models}
    prices = {name: price(found) for name, found in compiled.price_overrides.items()}
    noted += [
        f"the price of {name} has steps or tiers, which a file cannot say" for name, p in prices.items() if p is None
    ]
    pricing = {
        "overrides": {name: found for name, found in prices.items() if found is not None},
        "discount": {
            name: f"{bp // 100}.{bp % 100:02}".rstrip("0").rstrip(".") + "%"
            for name, bp in compiled.discounts_bp.items()
        },
    }
    retention = {"ledger_days": compiled.ledger_days, "journal_hours": compiled.journal_hours}
    found = {
        **_process(compiled.process),
        "providers": {spec.name: provider(spec, noted) for spec in compiled.providers},
        "models": models,
        **_holders(compiled),
        "keys": {key.name: _key(key) for key in compiled.keys},
        "pricing": {name: value for name, value in pricing.items() if value},
        "organisation": _limited(compiled),
        "model_sets": {name: list(models) for name, models in compiled.model_sets.items()},
        "alerts": [_changed(one, AlertSpec(destination="")) for one in compiled.alerts],
        "timezone": compiled.timezone if compiled.timezone != schema.Config().timezone else None,
        "defaults": {
            name: value
            for name in ("unpriced", "overrun")
            if (value := getattr(compiled, name)) != getattr(schema.Defaults(), name)
        },
        "retention": {name: v for name, v in retention.items() if v != getattr(schema.Retention(), name)},
        "compat": list(compiled.compat),
    }
    return {name: value for name, value in found.items() if value not in ({}, [], None)}


def _limited(holder: Any) -> Document:
    """Return the limits and budgets of what has rules of both."""
    found: Document = {}
    if holder.limits:
        found["limits"] = limit_rule.texts_of(holder.limits)
    if holder.budgets:
        found["budget"] = msgspec.to_builtins(budget_rule.written_of(holder.budgets))
    return found


def _changed(value: msgspec.Struct, default: msgspec.Struct) -> Document:
    """Return the fields that differ from the defaults, as builtins."""
    other = [n for n in value.__struct_fields__ if getattr(value, n) != getattr(default, n)]
    return {name: msgspec.to_builtins(getattr(value, name)) for name in other}


def _process(process: Process) -> Document:
    listen: Document = _changed(process, Process())
    found: Document = {}
    tls = {"cert": listen.pop("tls_cert", None), "key": listen.pop("tls_key", None)}
    workers, durability = listen.pop("workers", None), listen.pop("durability", None)
    for elsewhere in ("limits", "destinations"):
        listen.pop(elsewhere, None)
    if tls["cert"]:
        listen["tls"] = tls
    if "cors" in listen:
        listen["cors"] = list(listen["cors"])
    if "trusted_proxies" in listen:
        listen["trusted_proxies"] = list(listen["trusted_proxies"])
    if listen:
        found["listen"] = listen
    if workers is not None:
        found["workers"] = workers
    limits = _changed(process.limits, schema.Limits())
    if limits:
        found["limits"] = limits
    if process.destinations:
        found["courier"] = outward.document(process.destinations)
    if durability is not None:
        found["spool"] = {"durability": durability}
    return found


# providers


def provider(spec: ProviderSpec, notes: list[str]) -> Document:
    """Return a provider's keys: as a catalogue row where it is one, else as a URL with a dialect."""
    credentials = [_credential(spec, name) for name in spec.credentials if name != "none" or name in spec.references]
    for row, is_generic in _rows(spec):
        for found in _candidates(spec, row, is_generic):
            if credentials:
                found["credentials"] = credentials
            if _is_same(spec, found):
                return found
    notes.append(
        f"the provider {spec.name} was made otherwise than a file can say; what it holds may differ in details"
    )
    return {"dialect": next(iter(spec.dialects), "openai"), "base_url": spec.endpoint.url, "auth": spec.endpoint.auth}


def _credential(spec: ProviderSpec, name: str) -> Document:
    found: Document = {"name": name}
    source, _, where = spec.references.get(name, "").partition(":")
    if source:
        found["secret"] = {source: where}
    else:
        found["sealed"] = True
    if name in spec.auths:
        found["auth"] = spec.auths[name]
    if name in spec.ceilings:
        found["ceilings"] = _changed(_ceilings(spec, name), schema.Ceilings())
    if name in spec.credential_budgets:
        found["budget"] = msgspec.to_builtins(budget_rule.written_of(spec.credential_budgets[name]))
    return found


def _ceilings(spec: ProviderSpec, name: str) -> schema.Ceilings:
    return msgspec.convert(msgspec.to_builtins(spec.ceilings[name]), schema.Ceilings)


def _rows(spec: ProviderSpec) -> Iterator[tuple[ProviderRow, bool]]:
    """Return the rows that may be behind a provider: its own name's first, then by URL, plain dialects, all others."""
    alike = [row for row in PROVIDERS.values() if row.dialects == spec.dialects]
    yield from ((row, False) for row in alike if row.name == spec.name)
    yield from ((row, False) for row in alike if _variables(row, spec.endpoint.url) is not None)
    yield from ((row, True) for row in GENERIC.values() if row.dialects == spec.dialects)
    yield from ((row, False) for row in alike)


def _variables(row: ProviderRow, url: str) -> Document | None:
    """Read the variables of a row's URLs out of a URL; None when it is none of the row's."""
    for location, template in row.locations.items():
        found = _values(template, url)
        if found is not None:
            return found | {"location": location}
    return _values(row.base_url, url)


def _values(template: str, url: str) -> Document | None:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[A-Za-z0-9][A-Za-z0-9._-]*)"

    parts = re.split(r"(\{[a-z_]+\})", template)
    pattern = "".join(_VARIABLE.sub(group, part) if part.startswith("{") else re.escape(part) for part in parts)
    found = re.fullmatch(pattern, url)
    return found.groupdict() if found is not None else None


def _candidates(spec: ProviderSpec, row: ProviderRow, is_generic: bool) -> Iterator[Document]:
    place = spec.endpoint
    found: Document = {}
    if is_generic:
        found["dialect"] = row.name
    elif row.name != spec.name:
        found["kind"] = row.name
    variables = _variables(row, place.url) if row.base_url else None
    found |= {"base_url": place.url} if variables is None else variables
    if row.query and (version := place.query.removeprefix("api-version=")) != row.defaults.get("api_version"):
        found["api_version"] = version
    if place.auth != row.auth:
        found["auth"] = place.auth
    if place.allow_private != row.allow_private:
        found["allow_private"] = place.allow_private
    parameters = dict(place.auth_parameters)
    if "region" in parameters:
        found["region"] = parameters.pop("region")
    if parameters.get("service") == row.defaults.get("service"):
        parameters.pop("service", None)
    if parameters:
        found["auth_parameters"] = parameters
    if place.passthrough:
        found["passthrough"] = list(place.passthrough)
    if place.tls_trust != "system":
        found["ca_file"] = place.tls_trust
    if place.proxy:
        found["proxy"] = f"http://{place.proxy}"
    if place.headers:
        found["headers"] = dict(place.headers)
    if spec.pricing_id is not None and spec.pricing_id != list_of(row.pricing_id, place.host):
        found["pricing"] = spec.pricing_id
    if spec.own:
        found["own"] = True
    if spec.team is not None:
        found["team"] = spec.team
    found |= _limited(spec)
    if spec.labels:
        found["labels"] = dict(spec.labels)
    quirks = spec.quirks
    if quirks.stream_usage != row.quirks.stream_usage:
        found["stream_usage"] = quirks.stream_usage
    if quirks.max_tokens != row.quirks.max_tokens:
        found["max_tokens"] = quirks.max_tokens
    if quirks.drop != row.quirks.drop:
        found["drop"] = list(quirks.drop)
    yield found
    if row.name == "azure-deployments":
        yield {**found, "kind": "azure"}


def _all_sealed(providers: Document) -> Document:
    """Return providers without references of secrets: nothing is read here."""
    sealed: Document = {}
    for name, spec in providers.items():
        credentials = [
            {k: v for k, v in c.items() if k != "secret"} | {"sealed": True} for c in spec.get("credentials", ())
        ]
        sealed[name] = {**spec, "credentials": credentials}
    return sealed


def _is_same(spec: ProviderSpec, found: Document) -> bool:
    try:
        given = msgspec.convert(_all_sealed({spec.name: found})[spec.name], schema.Provider)
        built = build_provider(spec.name, given)
    except (ValueError, msgspec.ValidationError):
        return False
    return msgspec.structs.replace(built, references=spec.references) == spec


# models, prices, keys


def model(entry: ModelEntry, notes: list[str]) -> Document | str:
    """Return a model's keys; a string for one plain deployment."""
    default = ModelEntry(name=entry.name)
    found: Document = {}
    if entry.alias is not None:
        found["alias"] = entry.alias
    if entry.team is not None:
        found["team"] = entry.team
    if entry.deployments:
        found["deployments"] = [_deployment(entry.name, deployment, notes) for deployment in entry.deployments]
    if entry.fallback:
        found["fallback"] = list(entry.fallback)
    if entry.strict:
        found["strict"] = True
    if entry.drop:
        found["drop"] = list(entry.drop)
    if entry.max_tokens is not None:
        found["defaults"] = {"max_tokens": entry.max_tokens}
    if entry.ceilings is not None:
        found["ceilings"] = ceilings.write(entry.ceilings)
    if entry.cache_s is not None:
        found["cache"] = {"ttl": cache_rule.write(entry.cache_s)}
    found |= routes.written(entry)
    if entry.strategy != default.strategy:
        found["strategy"] = entry.strategy
    found |= _limited(entry)
    timeouts = _changed(entry.timeouts, Timeouts())
    if timeouts:
        found["timeouts"] = timeouts
    if list(found) == ["deployments"] and len(entry.deployments) == 1:
        only = found["deployments"][0]
        if only.keys() == {"provider", "model"}:
            return f"{only['provider']}/{only['model']}"
    return found


def _deployment(name: str, deployment: DeploymentEntry, notes: list[str]) -> Document:
    found = _changed(deployment, DeploymentEntry(provider="", model=""))
    found.pop("budgets", None)
    found |= _limited(deployment)
    found |= routes.deployment_written(deployment)
    if deployment.price is not None:
        found["price"] = price(deployment.price)
        if found["price"] is None:
            del found["price"]
            notes.append(f"a deployment of {name} has a price with steps or tiers, which a file cannot say")
    return found


def price(found: Price) -> Document | str | None:
    """Return a price's keys, or `free`; None when it has steps or service tiers, which a file cannot say."""
    if found.source == "free":
        return "free"
    if found.tiers or found.discount_bp or any(rate.tiers for rate in found.rates.values()):
        return None
    keys = {meter: key for key, meter in METERS_BY_KEY.items()}
    if not found.rates.keys() <= keys.keys():
        return None
    made = {keys[meter]: _usd(rate.base) for meter, rate in found.rates.items()}
    for unit, nano in found.units.items():
        key, factor = UNIT_PRICES[unit]
        made[key] = _usd(nano * factor // MTOK)
    return made


def _usd(nano: int) -> str:
    text = format_usd(nano)
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _key(key: FileKey) -> Document:
    found: Document = {}
    if key.sha256:
        found["sha256"] = key.sha256
    if key.keyed:
        until = (f" until {format_time(k.until_ms)}" if k.until_ms is not None else "" for k in key.keyed)
        found["keyed"] = [f"{k.pepper_id}:{k.mac}{more}" for k, more in zip(key.keyed, until, strict=True)]
    policy: Document = msgspec.to_builtins(key_policy.write(key))
    return found | policy


def _holders(compiled: Compiled) -> Document:
    """Return the sections of teams, users, projects and profiles."""
    return {
        kind.plural: {
            one.name: msgspec.to_builtins(organisation.write(kind, one))
            for one in compiled.holders
            if one.kind == kind.name
        }
        for kind in organisation.KINDS.values()
    }


# names that lead nowhere


def sound(found: Document, notes: list[str]) -> Document:
    """Return a document without names that lead nowhere: a store may hold them (a key for a model that was removed), a file may
    not. What was left out is noted."""
    found = msgspec.convert(msgspec.to_builtins(found), Document)  # a copy: what is removed stays where it came from
    for _ in range(ROUNDS_MAX):  # what loses its target may be another's target
        try:
            config = msgspec.convert({**found, "providers": _all_sealed(found.get("providers", {}))}, schema.Config)
        except msgspec.ValidationError as exc:
            notes.append(f"something in it is of no configuration: {exc}")
            break
        wrong = [f for f in names.check(config, names.Known(), lambda path: False, Suggestions(0)) if not f.is_warning]
        if not wrong:
            break
        for finding in reversed(wrong):  # later items of a list first: the numbers of the others hold
            if _remove(found, finding.path):
                notes.append(f"left out, {finding.path}: {finding.message}")
    return found


def _remove(found: Document, path: str) -> bool:
    """Remove what a finding is about: an item of a list of names, a deployment, or the whole entry."""
    trail = _walk(found, path)
    if len(trail) < 2:
        return False
    if trail[0][1] == "models" and "budget" not in (key for _, key in trail):
        for depth, (holder, key) in enumerate(trail):
            if isinstance(holder, list) and isinstance(key, int):
                del holder[key]
                if not holder and trail[depth - 1][1] == "deployments":
                    del found["models"][trail[1][1]]
                return True
        del found["models"][trail[1][1]]
        return True
    if "budget" in (key for _, key in trail):
        return _remove_of_budget(trail)
    holder, key = trail[-1]
    del holder[key]
    return True


def _remove_of_budget(trail: list[tuple[Any, Any]]) -> bool:
    """Remove what a budget names: a route with its `on_spent`, a model of a list, and a budget that counts nothing any more."""
    at = [key for _, key in trail].index("budget")
    holder, key = trail[-1]
    if key == "route":
        holder, key = trail[-2]
        del holder[key]
        return True
    del holder[key]
    if not holder and trail[-2][1] == "models":
        whole, number = trail[at + 1] if isinstance(trail[at + 1][1], int) else trail[at]
        del whole[number]
        if not whole and isinstance(whole, list):
            del trail[at][0]["budget"]
    return True


def _walk(found: Any, path: str) -> list[tuple[Any, Any]]:
    """Return (holder, key) of each step of a path. Names may have dots: the longest that fits is meant."""
    trail: list[tuple[Any, Any]] = []
    at, rest = found, path
    while rest:
        if isinstance(at, list):
            number, _, rest = rest.removeprefix("[").partition("]")
            key: Any = int(number)
            if key >= len(at):
                return []
        elif isinstance(at, dict):
            fits = [k for k in at if rest == k or rest.startswith((f"{k}.", f"{k}["))]
            if not fits:
                return trail
            key = max(fits, key=len)
            rest = rest[len(key) :]
        else:
            return trail
        trail.append((at, key))
        at, rest = at[key], rest.removeprefix(".")
    return trail


# differences


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One place where two documents differ."""

    keys: tuple[str, ...]
    old: Any = None
    new: Any = None
    kind: str = "changed"
    """changed, added or removed."""

    @property
    def path(self) -> str:
        """The keys, joined."""
        return ".".join(self.keys).replace(".[", "[")

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.path}: {_short(self.old)} → {_short(self.new)}"
        value = self.new if self.kind == "added" else self.old
        return f"{self.path}: {self.kind}" + ("" if isinstance(value, dict) else f" ({_short(value)})")


def changes(old: Any, new: Any, keys: tuple[str, ...] = ()) -> list[Change]:
    """Return what differs between two documents, place by place."""
    if isinstance(old, dict) and isinstance(new, dict):
        every = [*old, *(name for name in new if name not in old)]
        return [change for name in every for change in _member(old, new, name, (*keys, name))]
    if isinstance(old, list) and isinstance(new, list) and any(isinstance(i, dict) for i in (*old, *new)):
        return changes(_named(old), _named(new), keys)
    return [] if old == new else [Change(keys=keys, old=old, new=new)]


def _member(old: Document, new: Document, name: str, keys: tuple[str, ...]) -> list[Change]:
    if name in old and name in new:
        return changes(old[name], new[name], keys)
    kind, inner = ("added", new[name]) if name in new else ("removed", old[name])
    if (
        (len(keys) == 1 or keys[0] == "pricing") and len(keys) < 3 and isinstance(inner, dict)
    ):  # say what is in a section
        return changes({}, inner, keys) if kind == "added" else changes(inner, {}, keys)
    return [Change(keys=keys, new=inner, kind=kind) if kind == "added" else Change(keys=keys, old=inner, kind=kind)]


def _named(items: Iterable[Any]) -> Document:
    """Return list items by their name, or by their number."""
    return {
        f"[{item['name']}]" if isinstance(item, dict) and "name" in item else f"[{number}]": item
        for number, item in enumerate(items)
    }


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode() if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:59] + "…"


def summary(found: list[Change]) -> str:
    """Say in a few words what differs: `models +2 ~1, keys -1`."""
    signs = {"added": "+", "removed": "-", "changed": "~"}
    counts: dict[str, dict[str, set[str]]] = {}
    for change in found:
        sign = signs[change.kind] if len(change.keys) <= 2 else "~"
        counts.setdefault(change.keys[0], {}).setdefault(sign, set()).add(change.keys[min(1, len(change.keys) - 1)])
    parts = (
        f"{section} {' '.join(f'{s}{len(n)}' for s, n in sorted(kinds.items()))}" for section, kinds in counts.items()
    )
    return ", ".join(parts) or "nothing"
