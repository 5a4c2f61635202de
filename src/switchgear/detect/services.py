"""Tells which product answered, from what it answered. Level 1.

A sign counts once and only if the answer to a random path does not carry it too (servers that answer everything with the
same page). Two independent signs confirm; one very telling one makes it likely. What is asked of strangers (auth) is a
question of its own.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from switchgear.detect.finding import Confidence
from switchgear.detect.rules import Marker, Product

CONFIRMED, LIKELY, POSSIBLE = 100, 90, 60
"""Sums of weights: with two signs, with one, and not worth mentioning below."""
_TITLE = re.compile(r"(?is)<title[^>]{0,200}>\s{0,50}([^<]{1,300})")
_VERSION_TEXT = re.compile(r"[A-Za-z0-9.+_-]{1,40}")
REMEMBERED_MAX = 10_000
OPENAI_COMPATIBLE = "openai-compatible"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What a service answered; bodies are cut by the caller and never kept."""

    status: int
    body: str = ""
    headers: dict[str, str] = {}
    """Names in lower case."""
    whole: bool = True
    """False when the body was cut."""


class ServiceMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A product that was recognised."""

    product: str
    name: str
    category: str
    confidence: Confidence
    score: int
    signs: tuple[str, ...]
    version: str | None = None
    auth: str = "unknown"
    risk: str = ""


class _Seen:
    """A response, parsed once."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.text = response.body.strip()
        title = _TITLE.search(response.body)
        self.title = title.group(1).strip() if title else ""
        self.json: Any = None
        if response.whole and self.text[:1] in {"{", "[", '"'}:
            try:
                self.json = json.loads(self.text)
            except (ValueError, RecursionError):
                self.json = None

    def at(self, path: str) -> tuple[bool, Any]:
        """Look up a dotted path."""
        value = self.json
        for name in path.split("."):
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                return False, None
        return True, value


def _holds(marker: Marker, seen: _Seen) -> bool:
    if marker.header is not None:
        value = seen.response.headers.get(marker.header)
        return value is not None and marker.contains.lower() in value.lower()
    if marker.json is not None:
        found, value = seen.at(marker.json)
        return found and (marker.equals is None or _plain(value) == marker.equals)
    if marker.title is not None:
        return seen.title.startswith(marker.title) or seen.title.endswith(marker.title)
    if marker.text is not None:
        return seen.text == marker.text
    if marker.matches is not None:
        return re.search(marker.matches, seen.response.body[:4096]) is not None
    return marker.body is not None and marker.body in seen.response.body.replace('": "', '":"')


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _describe(path: str, marker: Marker) -> str:
    what = marker.body or marker.text or marker.title or marker.json or marker.header or marker.matches or ""
    return f"{path} {what}"


class ServiceDetector:
    """All products, ready to judge."""

    def __init__(self, products: Iterable[Product]) -> None:
        self.products = tuple(products)
        self._compiled = {p.id: [re.compile(pattern) for pattern in p.processes] for p in self.products}
        self.by_id = {p.id: p for p in self.products}
        self._images: dict[str, Product | None] = {}

    def paths(self, port: int | None) -> list[str]:
        """Return what to ask on a port: what its usual products are known by, or everything for another port."""
        wanted = [p for p in self.products if port is None or port in p.ports] or list(self.products)
        if len(wanted) < len(self.products):
            wanted += [p for p in self.products if p.category in {"gateway", "own gateway"} and p not in wanted]
        paths = {probe.path for p in wanted for probe in p.probe}
        paths |= {source.path for p in wanted for source in p.version}
        paths |= {check.path for p in wanted for check in (p.auth, p.claimable) if check is not None}
        return sorted(paths | {"/", "/v1/models"})

    def judge(self, responses: Mapping[str, Response], control: Response | None) -> list[ServiceMatch]:
        """Return the products that the responses of one origin show, most certain first."""
        seen = {path: _Seen(response) for path, response in responses.items()}
        baseline = _Seen(control) if control is not None and control.status < 400 else None
        found = [match for p in self.products if (match := self._product(p, seen, baseline)) is not None]
        found.sort(key=lambda m: -m.score)
        best = [m for m in found if m.confidence == "confirmed"] or found
        if not best and (generic := _generic(seen, baseline)) is not None:
            best = [generic]
        return best

    def _product(self, product: Product, seen: Mapping[str, _Seen], control: _Seen | None) -> ServiceMatch | None:
        signs: list[tuple[int, str]] = []
        for probe in product.probe:
            answer = seen.get(probe.path)
            if answer is None or answer.response.status >= 500:
                continue
            for marker in probe.markers:
                if not _holds(marker, answer):
                    continue
                # The page of an app that answers every path with itself is a sign at "/" only.
                if control is not None and probe.path != "/" and _holds(marker, control):
                    continue
                signs.append((marker.weight, _describe(probe.path, marker)))
        score = sum(weight for weight, _ in signs)
        if len(signs) >= 2 and score >= CONFIRMED:
            confidence: Confidence = "confirmed"
        elif signs and max(signs)[0] >= LIKELY:
            confidence = "likely"
        elif score >= POSSIBLE:
            confidence = "possible"
        else:
            return None
        return ServiceMatch(
            product=product.id,
            name=product.name,
            category=product.category,
            confidence=confidence,
            score=score,
            signs=tuple(text for _, text in signs),
            version=_version(product, seen),
            auth=_auth(product, seen),
            risk=product.risk,
        )

    def of_command(self, command: str) -> Product | None:
        """Return the product that a command line starts, or None."""
        for product in self.products:
            if any(pattern.search(command) for pattern in self._compiled[product.id]):
                return product
        return None

    def of_image(self, image: str) -> Product | None:
        """Return the product of a container image (`registry/name:tag`, any registry mirror's prefix aside), or None."""
        if image not in self._images:
            if len(self._images) >= REMEMBERED_MAX:
                self._images.clear()
            self._images[image] = self._of_image(image)
        return self._images[image]

    def _of_image(self, image: str) -> Product | None:
        name = image.partition("@")[0]
        head, _, last = name.rpartition("/")
        name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
        name = name.removeprefix("docker.io/").removeprefix("library/")
        for product in self.products:
            for known in product.images:
                if known.endswith("*"):
                    if name.startswith(known[:-1]) or f"/{known[:-1]}" in name:
                        return product
                elif name == known or ("/" in known and name.endswith(f"/{known}")):
                    return product
        return None

    def of_package(self, ecosystem: str, name: str) -> Product | None:
        """Return the product that a package installs, or None."""
        wanted = f"{ecosystem}:{name}"
        return next((p for p in self.products if wanted in p.packages), None)


def _version(product: Product, seen: Mapping[str, _Seen]) -> str | None:
    for source in product.version:
        answer = seen.get(source.path)
        if answer is None or answer.response.status >= 400:
            continue
        value: Any = None
        if source.json is not None:
            value = answer.at(source.json)[1]
        elif source.header is not None:
            value = answer.response.headers.get(source.header)
        elif source.pattern is not None:
            match = re.search(source.pattern, answer.text)
            value = match.group(1) if match else None
        if isinstance(value, str) and _VERSION_TEXT.fullmatch(value):
            return value.removeprefix("v")
    return None


def _auth(product: Product, seen: Mapping[str, _Seen]) -> str:
    claim = product.claimable
    if claim is not None and claim.path in seen:
        found, value = seen[claim.path].at(claim.json)
        if found and _plain(value) == claim.equals:
            return "claimable"
    check = product.auth
    if check is None or check.path not in seen:
        return "unknown"
    answer = seen[check.path]
    if answer.response.status in {401, 403}:
        return "auth"
    if answer.response.status == 200 and (not check.open_json or answer.at(check.open_json)[0]):
        return "open"
    return "unknown"


def _generic(seen: Mapping[str, _Seen], control: _Seen | None) -> ServiceMatch | None:
    answer = seen.get("/v1/models")
    if answer is None or (control is not None and control.text == answer.text):
        return None
    listed = answer.at("data.0.id")[0] and answer.at("data.0.object")[1] == "model"
    if answer.response.status != 200 or not (listed or (answer.at("object")[1] == "list" and answer.at("data")[0])):
        return None
    return ServiceMatch(
        product=OPENAI_COMPATIBLE,
        name="OpenAI-compatible server (unidentified)",
        category="model server",
        confidence="possible",
        score=POSSIBLE,
        signs=("/v1/models data",),
        auth="open",
    )
