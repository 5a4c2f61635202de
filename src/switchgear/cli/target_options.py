"""What `model add` says of its targets: options that hold for all of them, or for one (`--weight openai/gpt-4o=3`). Level 7."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from switchgear.config import routes, schema
from switchgear.core import limit_rule
from switchgear.core.errors import UserError
from switchgear.core.limit_rule import LimitRule
from switchgear.routing.table import DeploymentEntry

_LISTS = ("tags", "keys", "teams", "needs", "without")
_NUMBERS = ("tokens_min", "tokens_max")


def deployments(targets: Sequence[str], is_ordered: bool, said: dict[str, Sequence[str]]) -> list[DeploymentEntry]:
    """Return the deployments of targets (`PROVIDER/MODEL`). `said` are texts by option: weight, tier, label, when, canary. Raises
    UserError for what is none; the gateway checks the rest."""
    values = {option: dict(_by_target(option, texts, targets)) for option, texts in said.items()}
    found = []
    for place, target in enumerate(targets, 1):
        provider, slash, upstream = target.partition("/")
        if not slash or not upstream:
            raise UserError(f"{target!r} must be PROVIDER/MODEL", "", 2)
        of_it = {option: of_target.get(target, []) for option, of_target in values.items()}
        found.append(
            DeploymentEntry(
                provider=provider,
                model=upstream,
                tier=_last("tier", of_it, _whole, place if is_ordered and not values["tier"] else 1),
                weight=_last("weight", of_it, float, 1.0),
                labels=dict(_named("label", text) for text in of_it["label"]),
                when=routes.when_of(_when(of_it["when"])),
                canary=_last("canary", of_it, _percent, None),
            )
        )
    return found


def limits(rpm: int | None, tpm: int | None, parallel: int | None, texts: Sequence[str]) -> tuple[LimitRule, ...]:
    """Return the limits of a model. Raises UserError for one that is none."""
    said = schema.Organisation(rpm=rpm, tpm=tpm, parallel=parallel, limits=list(texts))
    for name, wrong in limit_rule.check(msgspec.structs.asdict(said)):
        raise UserError(f"--{name.replace('limits', 'limit').partition('[')[0]}: {wrong}", "", 2)
    return limit_rule.rules_of(said)


def _by_target(option: str, texts: Sequence[str], targets: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        named = [target for target in targets if text.startswith(f"{target}=")]
        other = text.partition("=")[0]
        if not named and "/" in other and option != "when":
            raise UserError(
                f"--{option} {text!r}: {other!r} is none of the targets", f"they are {', '.join(targets)}", 2
            )
        value = text[len(max(named, key=len)) + 1 :] if named else text
        for target in [max(named, key=len)] if named else targets:
            found.setdefault(target, []).append(value)
    yield from found.items()


def _last(option: str, said: dict[str, list[str]], read: Callable[[str], Any], default: Any) -> Any:
    texts = said[option]
    if not texts:
        return default
    try:
        return read(texts[-1])
    except ValueError as exc:
        raise UserError(
            f"--{option} {texts[-1]!r} {exc if isinstance(exc, _NoValueError) else 'is no number'}", "", 2
        ) from None


class _NoValueError(ValueError):
    pass


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _NoValueError("must be a whole number")
    return int(text)


def _percent(text: str) -> float:
    share = routes.percent_of(text)
    if share is None:
        raise _NoValueError("must be a percentage such as 5%")
    return share


def _named(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UserError(f"--{option} {text!r} must be NAME=VALUE", "", 2)
    return name, value


def _when(texts: Sequence[str]) -> schema.When | None:
    if not texts:
        return None
    said: dict[str, Any] = {}
    for text in texts:
        name, value = _named("when", text)
        if name in _NUMBERS:
            said[name] = _last("when", {"when": [value]}, _whole, None)
        elif name in _LISTS:
            said.setdefault(name, []).extend(item.strip() for item in value.split(",") if item.strip())
        else:
            raise UserError(f"--when {text!r}: known are {', '.join((*_LISTS, *_NUMBERS))}", "", 2)
    return msgspec.convert(said, schema.When)
