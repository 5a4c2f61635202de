"""What a piece of text, a package, an image or a command line means: findings. Level 5.

Sources (files, history, the machine) hand over what they read; nothing is opened here, and of a secret only its kind, its last
four characters and a keyed hash go into a finding.
"""

import base64
import binascii
import functools
import hashlib
import os
import re
import shlex
import stat
from collections.abc import Callable

from switchgear.detect import clients, flags, infrastructure, manifests
from switchgear.detect.domains import ProviderName, urls_in
from switchgear.detect.finding import Finding, Severity, masked, plain_identity, worse
from switchgear.detect.keys import Hit
from switchgear.detect.prefilter import Prefilter
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet

AS_DOCUMENTATION = re.compile(
    r"(?i)(?:^|/)(?:tests?|specs?|e2e|fixtures?|testdata|test-data|examples?|samples?|docs?|__tests__|__mocks__|mocks?|__snapshots__|snapshots?"
    r"|cassettes?|vcr_cassettes|recordings?|__recordings__|wiremock)/"
    r"|(?:^|/)(?:readme|changelog|changes|history|contributing)[^/]*$|\.(?:md|mdx|rst|adoc|har|snap|cassette)$"
    r"|(?:^|/)(?:test_[^/]+|conftest)\.py$|_(?:test|spec)\.(?:go|py|dart|rb|exs)$|[._-](?:test|spec)\.[cm]?[jt]sx?$|cassette[^/]*\.(?:ya?ml|json)$"
    r"|(?:^|/)[^/]*(?:[._-](?:example|sample|template|dist)(?:\.[^/]*)?|openapi[^/]*\.(?:ya?ml|json))$|(?:^|/)(?:example|sample)[._-][^/]*$"
)
"""Documentation, tests, examples and recorded answers: what stands there is said, not done."""
_COMMENT = re.compile(rb"\s*(?:#(?!!)|//|/\*|\*|--\s|<!--|;)")
_TEST_CLASS = re.compile(r"Tests?\.(?:java|kt|cs|swift|php|scala)$")


def is_sample(shown: str) -> bool:
    """Tell whether a file shows, tests or records something and does not do it."""
    return AS_DOCUMENTATION.search(shown) is not None or _TEST_CLASS.search(shown) is not None


_ALLOWED = (b"switchgear:allow", b"gitleaks:allow")
_IMAGE = re.compile(
    rb"""(?:(?i:\bimage)["']?\s*[:=]\s*["']?|^\s*FROM\s+(?:--\S+\s+)?)([a-z0-9][a-z0-9._/:@-]{2,250})"""
)
_MODEL = re.compile(
    rb"(?i)\b(gpt-(?:3\.5|4o?|4\.1|5)[a-z0-9.-]{0,24}|claude-(?:[0-9]|sonnet|opus|haiku)[a-z0-9.-]{0,32}|gemini-[0-9][a-z0-9.-]{0,24}|"
    rb"mistral-(?:large|medium|small)[a-z0-9.-]{0,12}|deepseek-(?:chat|reasoner|v[0-9])[a-z0-9.-]{0,12}|text-embedding-[a-z0-9-]{3,16})"
)
_K8S_DATA = re.compile(rb"(?m)^[ \t]{1,64}([A-Za-z0-9_.-]{1,253}):[ \t]{0,8}([A-Za-z0-9+/]{16,}={0,2})[ \t\r]{0,8}$")
_DOMAIN, _IMPORT, _IMAGE_TAG, _FLAG, _MODEL_TAG, _OWN, _CODE = (
    "domain",
    "import",
    "image",
    "flag",
    "model",
    "own",
    "code",
)
_MODEL_WORDS = ("gpt-3.5", "gpt-4", "gpt-5", "claude-", "gemini-", "mistral-", "deepseek-", "text-embedding-")


Origins = frozenset[tuple[str, int | None]]
"""Hosts and ports where this gateway is reached: base URLs that name them are governed."""


class TextScanner:
    """Turns what was read into findings."""

    def __init__(self, tools: DetectorSet, collector: Collector, origins: Origins = frozenset()) -> None:
        self._tools = tools
        self._out = collector
        self._origins = origins
        self._prefilter = Prefilter(self._words())
        self._keys_only = Prefilter(tools.keys.words())

    def _words(self) -> dict[str, set[str]]:
        words: dict[str, set[str]] = {}
        own = {host: {_OWN} for host, _ in self._origins}
        images = {
            p.rpartition("/")[2].rstrip("*") or p for product in self._tools.library.products for p in product.images
        }
        for source in (
            self._tools.keys.words(),
            self._tools.domains.words(_DOMAIN),
            self._tools.packages.words(_IMPORT),
            {name: {_IMAGE_TAG} for name in images if len(name) > 3},
            flags.words(_FLAG),
            infrastructure.words(_CODE),
            {word: {_MODEL_TAG} for word in _MODEL_WORDS},
            own,
        ):
            for word, tags in source.items():
                words.setdefault(word, set()).update(tags)
        return words

    def block(self, block: bytes, shown: str, line: int, base: int, seen_until: int) -> None:
        counted, at = 0, line
        for start, end, tags in self._prefilter.lines(block):
            at += block.count(b"\n", counted, start)
            counted = start
            self._out.item(
                f"{shown}:{at}",
                functools.partial(self._line, block, start, end, tags, shown, at, seen_until - base),
            )
        if b"kind: Secret" in block:
            self._kubernetes(block, shown)

    def _line(
        self, block: bytes, start: int, end: int, tags: frozenset[str], shown: str, number: int, fresh: int
    ) -> None:
        hits = self._tools.keys.find(block, start, end, tags)
        if hits:
            text = block[start:end]
            for hit in hits:
                if hit.end <= fresh:
                    continue  # in the overlap of two pieces: reported before
                if any(word in text for word in _ALLOWED):
                    self._out.skipped["lines that say switchgear:allow"] += 1
                    continue
                self.key(hit, shown, f"{shown}:{number}")
        if start < fresh:
            return
        line = block[start:end]
        if _DOMAIN in tags or _OWN in tags:
            self._endpoints(line, shown, number)
        if _IMPORT in tags:
            for verb, sdk in self._tools.packages.used(line, shown):
                self._sdk(verb, sdk, shown, number)
        if _IMAGE_TAG in tags:
            match = _IMAGE.search(line)
            if match is not None:
                self.image(match.group(1).decode(), f"{shown}:{number}")
        if _FLAG in tags:
            self.flags(line.decode("utf-8", "replace"), f"{shown}:{number}", shown)
        if _CODE in tags:
            self._infrastructure(line.decode("utf-8", "replace"), shown, number)
        if _MODEL_TAG in tags:
            for model in _MODEL.findall(line):
                self._model(model.decode().lower().rstrip(".-"), shown, number)

    def key(self, hit: Hit, shown: str, where: str) -> None:
        """Report a key: masked, with a keyed hash."""
        rule = hit.rule
        severity: Severity = rule.severity
        if is_sample(shown):
            severity = worse(severity, -1)
        fingerprint = self._tools.fingerprint.secret(hit.value)
        prefix = len(re.match(r"[A-Za-z0-9_-]*", rule.keywords[0]).group()) if rule.context is None else 0  # type: ignore[union-attr]
        shown_prefix = prefix if hit.value[:prefix].lower() == rule.keywords[0][:prefix].encode() else 0
        verdict_title = f"{rule.title} in plain text"
        if rule.id == "litellm-weak":
            verdict_title = rule.title
        self._out.add(
            Finding(
                id=self._tools.fingerprint.identity("key", rule.id, fingerprint, shown),
                kind="key",
                rule=rule.id,
                severity=severity,
                confidence="likely" if rule.context is not None else "confirmed",
                verdict="unknown" if rule.provider == "switchgear" else "bypass",
                title=verdict_title,
                where=where,
                fix="move it to a secret store; if others can read it: switchgear key rotate NAME"
                if rule.provider == "switchgear"
                else "rotate it, keep it in the gateway (switchgear credential add) and use a virtual key here",
                provider=rule.provider,
                evidence={"key": masked(hit.value, shown_prefix), "fingerprint": fingerprint},
            ),
            hashlib.sha256(hit.value).hexdigest(),
        )

    def keys_in(self, data: bytes, shown: str, where: Callable[[int], str]) -> None:
        """Look for keys only; `where` names a place by its line."""
        for start, end, tags in self._keys_only.lines(data):
            for hit in self._tools.keys.find(data, start, end, tags):
                if not any(word in data[start:end] for word in _ALLOWED):
                    self.key(hit, shown, where(data.count(b"\n", 0, start) + 1))

    def _endpoints(self, line: bytes, shown: str, number: int) -> None:
        is_mention = is_sample(shown) or _COMMENT.match(line) is not None
        for url in urls_in(line):
            host, port = url.host, url.port
            if (host, port) in self._origins:
                self._out.add(
                    Finding(
                        id=plain_identity("endpoint", "own", shown),
                        kind="endpoint",
                        rule="own-gateway",
                        severity="info",
                        verdict="governed",
                        title=f"uses this gateway ({host}{f':{port}' if port else ''})",
                        where=f"{shown}:{number}",
                        fix="",
                    )
                )
                continue
            name = self._tools.domains.match(host.replace("<", "").replace(">", ""))
            if name is None:
                continue
            if name.use == "api" and (url.is_placeholder or url.is_reading or is_mention):
                self._mentioned(name, shown, number)
                continue
            severity: Severity = "critical" if name.use == "malicious" else "low" if name.use == "api" else "info"
            if is_sample(shown):
                severity = "info"
            self._out.add(
                Finding(
                    id=plain_identity("endpoint", host, shown),
                    kind="endpoint",
                    rule=name.pattern,
                    severity=severity,
                    verdict="bypass" if name.use in {"api", "malicious"} else "unknown",
                    title=f"names {name.provider} directly: {host}",
                    where=f"{shown}:{number}",
                    fix="point its base URL at the gateway: switchgear connect CLIENT",
                    provider=name.provider,
                )
            )

    def _mentioned(self, name: ProviderName, shown: str, number: int) -> None:
        """Report a provider that is shown and not asked: one finding for all places, which counts them."""
        self._out.add(
            Finding(
                id=plain_identity("endpoint", "mentioned", name.provider),
                kind="endpoint",
                rule=name.pattern,
                severity="info",
                confidence="possible",
                title=f"documentation, tests or placeholders mention {name.provider}",
                where=f"{shown}:{number}",
                fix="",
                provider=name.provider,
            )
        )

    def _sdk(self, verb: str, name: str, shown: str, number: int) -> None:
        self._out.add(
            Finding(
                id=plain_identity("sdk", verb, name, shown),
                kind="sdk",
                rule=verb,
                severity="info",
                title=f"{verb} {name}",
                where=f"{shown}:{number}",
                fix="make sure that its base URL is the gateway's",
                evidence={"sdk": name},
            )
        )

    def image(self, image: str, where: str) -> None:
        """Report a container image of a known product."""
        product = self._tools.services.of_image(image)
        if product is None:
            return
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        version = tag if re.match(r"v?[0-9]|b[0-9]|main-v", tag) else None
        self._out.add(
            Finding(
                id=plain_identity("image", product.id, image, where.rpartition(":")[0]),
                kind="image",
                rule=product.id,
                severity="low" if product.category in {"gateway", "agent"} else "info",
                title=f"{product.name}: image {image}" + ("" if version else ", no fixed version"),
                where=where,
                fix=_next_step(product.id),
                product=product.id,
                version=version,
            )
        )
        matches = self._tools.advisories.of_product(product.id, version)
        self._out.advise(matches, product.id, version, where, is_sample(where))

    def flags(self, text: str, where: str, shown: str) -> None:
        """Report settings that open a tool to others."""
        for flag, severity, what in flags.found_in(text):
            self._out.add(
                Finding(
                    id=plain_identity("flag", flag, shown),
                    kind="flag",
                    rule=flag,
                    severity=worse(severity, -1) if is_sample(shown) else severity,
                    title=f"{what}: {flag}",
                    where=where,
                    fix="leave it out, or run the tool where nobody else reaches it",
                )
            )

    def _infrastructure(self, line: str, shown: str, number: int) -> None:
        for name, whose in infrastructure.found_in(line):
            self._out.add(
                Finding(
                    id=plain_identity("infrastructure", name, shown),
                    kind="infrastructure",
                    rule=whose,
                    severity="low" if whose in infrastructure.CI_AGENTS else "info",
                    title=f"declares {whose} ({name})",
                    where=f"{shown}:{number}",
                    fix="let its callers go through the gateway: switchgear provider add",
                )
            )

    def _model(self, model: str, shown: str, number: int) -> None:
        self._out.add(
            Finding(
                id=plain_identity("model", model),
                kind="model",
                rule="model-name",
                severity="info",
                confidence="possible",
                title=f"names the model {model}",
                where=f"{shown}:{number}",
                fix="",
                evidence={"model": model},
            )
        )

    def whole(self, shown: str, block: bytes, complete: bool) -> None:
        """Look at a file's first piece as a whole: manifests, clients' settings, other gateways' configuration."""
        name = shown.rpartition("/")[2]
        if name in clients.INSTRUCTION_FILES:
            self._out.add(
                Finding(
                    id=plain_identity("agent", shown), kind="sdk", rule="instructions", severity="info",
                    title=f"a coding agent works here ({name})", where=shown, fix="switchgear connect CLIENT",
                )
            )  # fmt: skip
        if name.endswith((".yaml", ".yml")) and clients.is_litellm_config(block):
            self._config("litellm", "LiteLLM proxy", shown, f"switchgear import litellm {shlex.quote(shown)}")
        elif (product := clients.gateway_file(shown, self._tools.gateway_files)) is not None and product != "litellm":
            ours = any((url.host, url.port) in self._origins for url in urls_in(block))
            self._config(product, self._tools.services.by_id[product].name, shown, _next_step(product), ours)
        if not complete:
            return
        if clients.is_mcp_file(shown):
            self._mcp(shown, block)
        for package in manifests.of_manifest(name, block):
            self.package(package, shown)

    def _config(self, product: str, name: str, shown: str, fix: str, points_here: bool = False) -> None:
        self._out.add(
            Finding(
                id=plain_identity("config", product, shown),
                kind="config",
                rule=product,
                severity="info" if is_sample(shown) or points_here else "medium",
                verdict="unknown" if is_sample(shown) else "governed" if points_here else "bypass",
                title=f"configuration of another gateway: {name}" + (", which uses this one" if points_here else ""),
                where=shown,
                fix=fix,
                product=product,
            )
        )

    def _mcp(self, shown: str, block: bytes) -> None:
        try:
            servers = list(clients.mcp_servers(shown, block))
        except ValueError as exc:
            self._out.failed(shown, f"a client's settings that cannot be read: {str(exc)[:80]}")
            return
        for server in servers:
            self._out.add(
                Finding(
                    id=plain_identity("mcp", shown, server.name),
                    kind="mcp",
                    rule="mcp-server",
                    severity="medium" if server.problems else "info",
                    title=f"MCP server {server.name}: {server.program}" + "".join(f", {p}" for p in server.problems),
                    where=shown,
                    fix="pin its version; use https; let people approve tools" if server.problems else "",
                    evidence={"program": server.program, "remote": "yes" if server.remote else "no"},
                )
            )

    def package(self, package: manifests.Package, where: str, installed: bool = False) -> None:
        """Report a package that calls or serves AI, and what advisories say of its version."""
        product = self._tools.services.of_package(package.ecosystem, package.name)
        known = self._tools.packages.is_known(package)
        matches = self._tools.advisories.of_package(package.ecosystem, package.name, package.version)
        if product is None and not known and not matches:
            return
        verb = "installed" if installed else "named"
        if product is not None or known:
            self._out.add(
                Finding(
                    id=plain_identity("package", package.ecosystem, package.name, where),
                    kind="package",
                    rule=product.id if product is not None else "sdk",
                    severity="low" if product is not None and product.category == "gateway" else "info",
                    title=f"{package.name} {package.version or '(no exact version)'} is {verb} here",
                    where=where,
                    fix=_next_step(product.id)
                    if product is not None
                    else "make sure that its base URL is the gateway's",
                    product=product.id if product is not None else None,
                    version=package.version,
                    evidence={
                        "purl": f"pkg:{package.ecosystem}/{package.name.replace(':', '/')}"
                        + (f"@{package.version}" if package.version else "")
                    },
                )
            )
        if package.version is not None:
            self._out.advise(matches, package.name, package.version, where, is_sample(where))

    def _kubernetes(self, block: bytes, shown: str) -> None:
        for name, value in _K8S_DATA.findall(block):
            try:
                decoded = base64.b64decode(value, validate=True)
            except binascii.Error:
                continue
            text = name + b"=" + decoded
            self.keys_in(text, shown, lambda _, n=name: f"{shown} (Secret data {n.decode()})")  # type: ignore[misc]

    def model_file(self, shown: str) -> None:
        self._out.add(
            Finding(
                id=plain_identity("model", "file", shown),
                kind="model",
                rule="model-file",
                severity="info",
                title=f"a model lies here ({shown.rpartition('.')[2]})",
                where=shown,
                fix="",
                evidence={"model": shown.rpartition("/")[2]},
            )
        )

    def credential_file(self, path: str, shown: str, owner: str) -> None:
        try:
            mode = stat.S_IMODE(os.lstat(path).st_mode)
        except OSError as exc:
            self._out.failed(shown, exc.strerror)
            return
        self._out.add(
            Finding(
                id=plain_identity("credential_file", shown),
                kind="credential_file",
                rule=owner,
                severity="high" if mode & 0o077 else "low",
                verdict="bypass",
                title=f"{owner} keeps credentials here" + (", and others can read them" if mode & 0o077 else ""),
                where=shown,
                fix=f"switchgear connect, so that {owner} holds a virtual key; chmod 600"
                if mode & 0o077
                else "switchgear connect",
                evidence={"mode": f"{mode:o}"},
            )
        )


def _next_step(product: str) -> str:
    if product == "litellm":
        return "switchgear import litellm CONFIG"
    return "register it as a provider (switchgear provider add) or take it down"
