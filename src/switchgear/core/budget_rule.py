"""What a budget says: so much money, so many tokens or requests in a period, and what happens at its end. Level 0.

People write `50/month`, `500000 tokens/day`, `10/day per end_user` or `50/30d rolling`; or a mapping that says more:
`{limit: 500/month, soft: 80%, on_spent: {route: cheap}}`; or a list of both. Everything becomes a BudgetRule. Money is in USD.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from switchgear.core import limit_rule
from switchgear.core.money import AMOUNT_USD_MAX, NANO_PER_USD
from switchgear.core.text import shown

RULES_MAX = 8
"""Of one subject."""
COUNT_MAX = 10**15
"""Tokens or requests: far above what anybody buys."""
SOFT_MAX = 8
NAME_MAX = 64
ROLLING_S_MIN, ROLLING_S_MAX = 60, 400 * 86_400
MONEY = "nanousd"
TOTAL, ROLLING = "total", "rolling"
PERIODS = ("hour", "day", "week", "month", "quarter", "year", TOTAL)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SET = "@"
"""Before the name of a named set of models."""
_UNITS = {
    "": MONEY,
    "usd": MONEY,
    "requests": "requests",
    "tokens": "total",
    "input tokens": "input",
    "output tokens": "output",
}
"""What people write → what is counted (`policies.budgets.Spends`)."""
_SINGULAR = {"request": "requests", "token": "tokens", "input token": "input tokens", "output token": "output tokens"}
_USD = {"us dollar", "us dollars", "dollar", "dollars", "$", "us$", "usd"}
EXAMPLE = "such as 50/month, '500000 tokens/day' or '10/day per end_user'"
_WRITTEN = re.compile(r"\s*(\$)?\s*(-?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([^/0-9]*?)((?:\s*/\s*|\s+per\s+)\S.*)?\s*")
_FOREIGN = re.compile(
    r"[€£¥₹₽₩₺₴]|\b(?:eur|euros?|gbp|chf|jpy|cny|inr|cad|aud|nzd|sgd|hkd|twd|krw|sek|nok|dkk|pln|czk|huf|brl|mxn|try|zar|ils|rub)\b",
    re.I,
)
"""Signs and ISO 4217 codes of other currencies, the ones that are asked for."""
_PARTS = re.compile(r"\s*/\s*|\s+per\s+")
_SPAN = re.compile(r"([0-9]{1,9})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_ROLLING_OF = {"hour": 3_600, "day": 86_400, "week": 604_800}
_SOFT = re.compile(r"\s*([0-9]{1,9})\s*%\s*")


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where requests go once a budget is spent."""

    route: str
    """The model that is asked instead. What it costs is booked to the budget as well, over 100 %, and bounded by others only."""


class BudgetSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A budget as people write it who say more than its limit."""

    limit: str
    """How much in which period: `50/month`, `500000 tokens/day`, `100 total`, `50/30d rolling`."""
    name: str | None = None
    """Its name. Its balance is kept under the name, else under its unit and period: what is changed besides keeps the balance."""
    soft: str | list[str] | None = None
    """Shares at which somebody is told, once in each period: `80%` or `[50%, 80%]`."""
    hard: bool = True
    """False: nothing is refused."""
    on_spent: Route | None = None
    """Instead of a refusal: the model that is asked from then on."""
    per: str | None = None
    """One balance for each value of: end_user, user, model, client or tag:NAME."""
    models: list[str] | None = None
    """What is counted: names and patterns of models and named sets of them (`@premium`), by what is served. Default: all."""
    timezone: str | None = None
    """Whose calendar its periods follow. Default: the top-level `timezone`."""
    weekday: str | None = None
    """On which day a week begins. Default: monday."""
    day: int | None = None
    """On which day of the month months, quarters and years begin. Default: 1."""
    hour: int | None = None
    """At which local hour periods of a day and longer begin. Default: 0."""


Written = str | BudgetSpec
Budgets = str | BudgetSpec | list[str | BudgetSpec]
"""What stands under `budget`."""


class BudgetRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One budget of whoever holds it."""

    amount: Annotated[int, msgspec.Meta(ge=1, le=10**18)]
    """In nano-USD, tokens or requests."""
    unit: Annotated[str, msgspec.Meta(pattern="^(nanousd|requests|input|output|total)$")] = MONEY
    period: Annotated[str, msgspec.Meta(pattern="^(hour|day|week|month|quarter|year|total|rolling)$")]
    rolling_s: int | None = None
    """Of a rolling one: the window in seconds."""
    name: str | None = None
    soft: tuple[int, ...] = ()
    """In percent of the amount, ascending."""
    is_hard: bool = True
    on_spent: str | None = None
    """The model that is asked once it is spent."""
    per: str | None = None
    models: tuple[str, ...] = ()
    """Empty: all."""
    timezone: str | None = None
    """None: the gateway's."""
    weekday: int = 0
    """0 Monday … 6 Sunday."""
    day: int = 1
    hour: int = 0

    @property
    def label(self) -> str:
        """What it is called among those of its subject, of which each has another: its name, else its unit and period (`month`,
        `tokens/day`)."""
        if self.name is not None:
            return self.name
        kind = self.period if self.period != ROLLING else f"rolling-{self.rolling_s}"
        return kind if self.unit == MONEY else f"{_words(self.unit)}/{kind}"


NOTHING = BudgetRule(amount=1, unit=MONEY, period=TOTAL, name="unreadable")
"""Of a holder with a budget that this program cannot read: nothing that costs money is let through."""


def parse(written: Written) -> BudgetRule | str:
    """Read a written budget; returns what is wrong with it, a sentence, where it is none. Names of models are not looked up."""
    if isinstance(written, str):
        return _limit(written)
    rule = _limit(written.limit)
    if isinstance(rule, str):
        return rule
    wrong = next(_wrong(written, rule), None)
    if wrong is not None:
        return wrong
    per, soft = written.per or rule.per, _soft(written.soft)
    return msgspec.structs.replace(
        rule,
        name=written.name,
        soft=tuple(sorted(set(soft))) if not isinstance(soft, str) else (),
        is_hard=written.hard,
        on_spent=written.on_spent.route if written.on_spent is not None else None,
        per=per,
        models=tuple(dict.fromkeys(written.models or ())),
        timezone=written.timezone,
        weekday=WEEKDAYS.index(written.weekday.lower()) if written.weekday is not None else 0,
        day=written.day if written.day is not None else 1,
        hour=written.hour or 0,
    )


def _limit(text: str) -> BudgetRule | str:
    """Read how much in which period."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        if _FOREIGN.search(text) and re.search("[0-9]", text):
            return _foreign(text)
        return f"{shown(text)} is no budget: write one {EXAMPLE}"
    words, rest = " ".join(found[3].split()), found[4] or ""
    parts = [part.strip() for part in _PARTS.split(rest)[1:]]
    if words.lower().rpartition(" ")[2] == TOTAL:
        words, parts = words[: -len(TOTAL)].strip(), [TOTAL, *parts]
    unit = _unit(words)
    if unit is None:
        if _FOREIGN.search(words) or (found[1] and words):
            return _foreign(text)
        from switchgear.core.nearest import meant  # noqa: PLC0415 - it compares with difflib, which each command would import

        known = ", ".join(name or "USD" for name in _UNITS if name != "usd")
        return f"{shown(words)} is no unit of a budget{meant(words, filter(None, _UNITS))}; known are {known}"
    amount = _amount(found[2], unit)
    if isinstance(amount, str):
        return amount
    if not parts:
        return f"{shown(text)} has no period: write {found[2]}{f' {words}' if words else ''}/month, or '{text.strip()} total'"
    period = _period(parts[0], f"{found[2]}{f' {words}' if words else ''}")
    if isinstance(period, str):
        return period
    per = parts[1] if len(parts) > 1 else None
    wrong = (
        "/".join(parts[1:]) if len(parts) > 2 else per if per is not None and not limit_rule.is_dimension(per) else None
    )
    if wrong is not None:
        return _no_dimension(wrong)
    return BudgetRule(amount=amount, unit=unit, period=period[0], rolling_s=period[1], per=per)


def _unit(words: str) -> str | None:
    lower = words.lower()
    if lower in _USD:
        return MONEY
    return _UNITS.get(_SINGULAR.get(lower, lower))


def _foreign(text: str) -> str:
    return f"{shown(text)} is in another currency: budgets are in USD, so convert it and write 50/month"


def _amount(text: str, unit: str) -> int | str:
    value = Decimal(text.replace("_", ""))
    if value <= 0:
        return f"{text} is no budget: it must be above 0; `switchgear freeze` stops everything"
    if unit != MONEY:
        if value != value.to_integral_value():
            return f"{text} is no number of {'requests' if unit == 'requests' else 'tokens'}: write a whole one"
        return int(value) if value <= COUNT_MAX else f"{text} is no budget that anything reaches: at most {COUNT_MAX}"
    if value > AMOUNT_USD_MAX:
        return f"{text} USD is no budget that anything reaches: at most {AMOUNT_USD_MAX}"
    nano = value * NANO_PER_USD
    return int(nano) if nano == nano.to_integral_value() else f"{text} has more than 9 decimal places"


def _period(text: str, amount: str) -> tuple[str, int | None] | str:
    """Return (period, seconds of a rolling one), or what is wrong."""
    words = text.lower().split()
    is_rolling = ROLLING in words
    bare = " ".join(word for word in words if word != ROLLING)
    span = _SPAN.fullmatch(bare)
    name = {"hr": "hour", "h": "hour", "d": "day", "w": "week"}.get(bare, bare.removesuffix("s"))
    if not is_rolling:
        if span is not None:
            known = ", ".join(PERIODS)
            return (
                f"{shown(bare)} is no period of a calendar ({known}); for a rolling one write '{amount}/{bare} rolling'"
            )
        if name in PERIODS:
            return name, None
        from switchgear.core.nearest import meant  # noqa: PLC0415

        return f"{shown(text)} is no period{meant(bare, PERIODS)}; known are {', '.join(PERIODS)}, or '30d rolling'"
    if span is not None:
        seconds = int(span[1]) * _SECONDS[span[2][0]]
    elif name in _ROLLING_OF:
        seconds = _ROLLING_OF[name]
    else:
        return f"{shown(text)} is no rolling period: write a number of days or hours, such as '{amount}/30d rolling'"
    if not ROLLING_S_MIN <= seconds <= ROLLING_S_MAX:
        return f"{shown(bare)} is no rolling period: it must have 1m to {ROLLING_S_MAX // 86_400}d"
    return ROLLING, seconds


def _no_dimension(text: str) -> str:
    from switchgear.core.nearest import meant  # noqa: PLC0415

    known = ", ".join((*limit_rule.DIMENSIONS, f"{limit_rule.TAG}NAME"))
    return f"{shown(text)} is no dimension{meant(text, limit_rule.DIMENSIONS)}; known are {known}"


def _soft(written: str | list[str] | None) -> tuple[int, ...] | str:
    texts = [written] if isinstance(written, str) else written or []
    found = []
    for text in texts:
        match = _SOFT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= 1_000:
            return f"{shown(text)} is no threshold: write a percentage such as 80%, between 1% and 1000%"
        found.append(int(match[1]))
    return tuple(found) if len(found) <= SOFT_MAX else f"at most {SOFT_MAX} thresholds"


_CALENDAR = (
    ("weekday", frozenset({"week"})),
    ("day", frozenset({"month", "quarter", "year"})),
    ("hour", frozenset({"day", "week", "month", "quarter", "year"})),
    ("timezone", frozenset(PERIODS) - {TOTAL}),
)
"""For which periods an option says something."""


def _wrong(spec: BudgetSpec, rule: BudgetRule) -> Iterator[str]:
    """Return what is wrong with a mapping whose limit is one."""
    if spec.name is not None and not (
        0 < len(spec.name) <= NAME_MAX and spec.name.isprintable() and "/" not in spec.name
    ):
        yield f"{shown(spec.name)} is no name: 1 to {NAME_MAX} printable characters without '/'"
    soft = _soft(spec.soft)
    if isinstance(soft, str):
        yield soft
    elif soft and max(soft) > 100 and spec.hard and spec.on_spent is None:
        yield f"{max(soft)} % is never reached: at 100 % requests are refused (without `hard: false` or `on_spent`)"
    if spec.per is not None:
        if not limit_rule.is_dimension(spec.per):
            yield _no_dimension(spec.per)
        if rule.per is not None and rule.per != spec.per:
            yield f"`limit` says per {rule.per}, and `per` says {spec.per}: say it once"
    if spec.on_spent is not None and not spec.hard:
        yield "with `hard: false` it is never spent, so `on_spent` never holds: remove one of them"
    if spec.models is not None and not spec.models:
        yield "`models` is empty, so nothing is counted: leave it out to count all"
    for name in spec.models or ():
        if not name or len(name) > 256 or name == SET:
            yield f"{shown(name)} is not a model name"
    for option, periods in _CALENDAR:
        if getattr(spec, option) is not None and rule.period not in periods:
            yield f"`{option}` says nothing of a budget per {rule.period}: remove it"
    if spec.weekday is not None and spec.weekday.lower() not in WEEKDAYS:
        yield f"{shown(spec.weekday)} is no weekday: write one of {', '.join(WEEKDAYS)}"
    if spec.day is not None and not 1 <= spec.day <= 31:
        yield f"{spec.day} is no day of a month: 1 to 31"
    if spec.hour is not None and not 0 <= spec.hour <= 23:
        yield f"{spec.hour} is no hour: 0 to 23"
    if spec.timezone is not None:
        wrong = wrong_zone(spec.timezone)
        if wrong is not None:
            yield wrong


def wrong_zone(name: str) -> str | None:
    """Return what is wrong with the name of a time zone; None where nothing is."""
    if name == "UTC":
        return None
    import zoneinfo  # noqa: PLC0415 - few budgets name a zone, and every `key` command would import it

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        from switchgear.core.nearest import meant  # noqa: PLC0415

        hint = meant(name, sorted(zoneinfo.available_timezones()))
        return f"{shown(name)} is no time zone{hint or '; write a name such as Europe/Berlin, or UTC'}"
    return None


def each(written: Budgets | None) -> list[Written]:
    """Return what was written, as a list."""
    if written is None:
        return []
    return list(written) if isinstance(written, list) else [written]


def rules_of(holder: Any) -> tuple[BudgetRule, ...]:
    """Return the rules of whatever has a `budget`. Look at `check` before it is stored: one that this program cannot read lets
    nothing through."""
    found = []
    for written in each(holder.budget):
        rule = parse(written)
        found.append(rule if not isinstance(rule, str) else NOTHING)
    return tuple(found)


def check(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (path, message) of everything that is wrong with what stands under `budget`; names of models are not looked up."""
    written = values.get("budget")
    many = each(written)
    if len(many) > RULES_MAX:
        yield "budget", f"at most {RULES_MAX} budgets"
    seen: dict[str, str] = {}
    for number, one in enumerate(many):
        path, rule = f"budget[{number}]" if isinstance(written, list) else "budget", parse(one)
        if isinstance(rule, str):
            yield path, rule
            continue
        first = seen.setdefault(rule.label, path)
        if first != path:
            what = f"has the name of `{first}`" if rule.name is not None else f"is counted as `{first}` is"
            yield path, f"it {what}, so both would have one balance: give it a `name` of its own, or remove one"


def models_named(written: Budgets | None) -> Iterator[tuple[str, str]]:
    """Return (path, name) of the models, patterns and named sets that budgets count, and of the models that they lead to."""
    for number, one in enumerate(each(written)):
        path = f"budget[{number}]" if isinstance(written, list) else "budget"
        if isinstance(one, BudgetSpec):
            yield from ((f"{path}.models[{at}]", name) for at, name in enumerate(one.models or ()))
            if one.on_spent is not None:
                yield f"{path}.on_spent.route", one.on_spent.route


def _words(unit: str) -> str:
    """Return what people write for a unit that is not money."""
    return next(text for text, one in _UNITS.items() if one == unit)


def limit_text(rule: BudgetRule, amount: int | None = None) -> str:
    """Return how much a rule allows in which period, without its dimension: `50/month`."""
    much = rule.amount if amount is None else amount
    if rule.unit == MONEY:
        what = f"{Decimal(much) / NANO_PER_USD:f}"
        what = what.rstrip("0").rstrip(".") if "." in what else what
    else:
        what = f"{much} {_words(rule.unit)}"
    if rule.period == TOTAL:
        return f"{what} total"
    return f"{what}/{period_text(rule)}"


def period_text(rule: BudgetRule) -> str:
    """Return a rule's period in words: `month`, `30d rolling`."""
    if rule.period != ROLLING:
        return rule.period
    seconds = rule.rolling_s or 0
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit} rolling"


def write(rule: BudgetRule) -> Written:
    """Return a rule as `parse` reads it: a text where one says everything."""
    text = limit_text(rule)
    spec = BudgetSpec(
        limit=text,
        name=rule.name,
        soft=[f"{percent}%" for percent in rule.soft] or None,
        hard=rule.is_hard,
        on_spent=Route(rule.on_spent) if rule.on_spent is not None else None,
        models=list(rule.models) or None,
        timezone=rule.timezone,
        weekday=WEEKDAYS[rule.weekday] if rule.weekday else None,
        day=rule.day if rule.day != 1 else None,
        hour=rule.hour or None,
    )
    if spec == BudgetSpec(limit=text):
        return text + (f" per {rule.per}" if rule.per else "")
    return msgspec.structs.replace(spec, per=rule.per)


def written_of(rules: Iterable[BudgetRule]) -> list[Written]:
    """Return rules as a file says them."""
    return [write(rule) for rule in rules]


def described(written: Written) -> str:
    """Return a budget in one line, for people."""
    rule = parse(written)
    if isinstance(rule, str):
        return f"{written if isinstance(written, str) else written.limit} (not readable)"
    more = [f"per {rule.per}"] if rule.per else []
    more += [f"for {', '.join(rule.models)}"] if rule.models else []
    more += [f"told at {', '.join(f'{p} %' for p in rule.soft)}"] if rule.soft else []
    more += [f"then {rule.on_spent}"] if rule.on_spent else []
    more += ["not hard"] if not rule.is_hard else []
    named = f"{rule.name}: " if rule.name else ""
    return named + limit_text(rule) + (f" ({', '.join(more)})" if more else "")
