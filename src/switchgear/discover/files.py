"""Folders and repositories: keys, base URLs, SDKs, images, clients' settings. Level 5.

Files are read in pieces, never followed through links, and nothing of them is kept but findings. What cannot be read is
named and makes the run partial; what is left out on purpose (binaries, dependencies) is counted.
"""

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from switchgear.detect import clients, flags, infrastructure, packages
from switchgear.detect.domains import hosts_in
from switchgear.detect.finding import Finding, Severity, masked, plain_identity, worse
from switchgear.detect.keys import Hit
from switchgear.detect.sieve import AFTER_MAX, BEFORE_MAX, Sieve
from switchgear.discover.collector import Collector
from switchgear.discover.toolbox import Toolbox

PIECE = 4 * 1024 * 1024
FILE_BYTES_MAX = 1024**3
"""Larger files are named and not read: --max-file-size."""
SMALL_BYTES_MAX = 16 * 1024 * 1024
"""Largest manifest or client settings that is parsed as a whole."""
DEPTH_MAX = 100
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages", "dist-packages", ".mypy_cache", ".ruff_cache",
     ".pytest_cache", ".hypothesis", ".tox", ".nox", ".gradle", ".terraform", "bower_components"}
)  # fmt: skip
MODEL_ENDS = (".gguf", ".ggml", ".safetensors", ".onnx")
BINARY_ENDS = (
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".woff", ".woff2", ".ttf", ".eot", ".otf", ".mp3", ".mp4",
    ".mov", ".avi",
    ".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz", ".jar", ".war", ".whl", ".so", ".dylib", ".dll", ".exe",
    ".o", ".a", ".pyc", ".class", ".wasm", ".sqlite", ".db", ".mdb", ".parquet", ".pt", ".bin",
)  # fmt: skip
LOCK_FILES = frozenset(
    {"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "poetry.lock", "uv.lock", "pdm.lock",
     "Pipfile.lock",
     "go.sum", "Cargo.lock", "gradle.lockfile", "deno.lock", "composer.lock", "Gemfile.lock", "pylock.toml"}
)  # fmt: skip
_AS_DOCUMENTATION = re.compile(
    r"(?i)(?:^|/)(?:tests?|specs?|fixtures?|testdata|examples?|samples?|docs?|__tests__)/|(?:^|/)(?:readme|changelog)[^/]*$|\.(?:md|rst|adoc)$"
)
_ALLOWED = (b"switchgear:allow", b"gitleaks:allow")
_FILE_ALLOWED = b"switchgear:allow-file"
"""In a file's first 4 KiB: it is full of samples. Such files are counted in every report."""
_IMAGE = re.compile(rb"""(?i)(?:\bimage["']?\s*[:=]|^\s*FROM)\s*["']?([a-z0-9][a-z0-9._/:@-]{2,250})""")
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


class Gateway(msgspec.Struct, frozen=True):
    """Where this gateway is reached: base URLs with these hosts and ports are governed."""

    origins: frozenset[tuple[str, int | None]] = frozenset()


class FileSource:
    """Looks at folders and files."""

    def __init__(
        self, tools: Toolbox, collector: Collector, gateway: Gateway, file_bytes_max: int = FILE_BYTES_MAX
    ) -> None:
        self._tools = tools
        self._out = collector
        self._gateway = gateway
        self._file_bytes_max = file_bytes_max
        self._sieve = Sieve(self._words())
        self._keys_only = Sieve(tools.keys.words())
        self._folders: set[tuple[int, int]] = set()
        self._models: dict[str, int] = {}

    def _words(self) -> dict[str, set[str]]:
        words: dict[str, set[str]] = {}
        own = {host: {_OWN} for host, _ in self._gateway.origins}
        images = {
            p.rpartition("/")[2].rstrip("*") or p for product in self._tools.library.products for p in product.images
        }
        for source in (
            self._tools.keys.words(),
            self._tools.domains.words(_DOMAIN),
            packages.import_words(_IMPORT),
            {name: {_IMAGE_TAG} for name in images if len(name) > 3},
            flags.words(_FLAG),
            infrastructure.words(_CODE),
            {word: {_MODEL_TAG} for word in _MODEL_WORDS},
            own,
        ):
            for word, tags in source.items():
                words.setdefault(word, set()).update(tags)
        return words

    # walking

    def scan(self, root: Path) -> None:
        """Look at a folder and all below it, or at one file."""
        base = str(root)
        if not os.path.lexists(base):
            self._out.failed(base, "there is no such file or folder")
            return
        if not stat.S_ISDIR(os.stat(base).st_mode):
            self.file(base, base)
            return
        for path in self._walk(base):
            self.file(path, path)

    def _walk(self, base: str) -> Iterator[str]:
        pending = [(base, 0)]
        while pending:
            folder, depth = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda e: e.name)
                info = os.stat(folder)
            except OSError as exc:
                self._out.failed(folder, exc.strerror)
                continue
            if (info.st_dev, info.st_ino) in self._folders:  # a bind mount that leads back
                self._out.skipped["folders seen before"] += 1
                continue
            self._folders.add((info.st_dev, info.st_ino))
            for entry in entries:
                try:
                    if entry.is_symlink():
                        self._out.skipped["links"] += 1
                    elif entry.is_dir():
                        if entry.name in SKIPPED_FOLDERS:
                            self._out.skipped["folders of dependencies and version control"] += 1
                        elif depth >= DEPTH_MAX:
                            self._out.failed(entry.path, f"more than {DEPTH_MAX} folders deep")
                        else:
                            pending.append((entry.path, depth + 1))
                    elif entry.is_file():
                        yield entry.path
                    else:
                        self._out.skipped["devices, pipes and sockets"] += 1
                except OSError as exc:
                    self._out.failed(entry.path, exc.strerror)

    # one file

    def file(self, path: str, shown: str) -> None:
        """Look at one file; `shown` is how it is named in findings."""
        owner = clients.credential_file(shown)
        if owner is not None:
            self._credential_file(path, shown, owner)
            return
        if path.lower().endswith(MODEL_ENDS):
            self._model_file(shown)
            return
        if path.lower().endswith(BINARY_ENDS):
            self._out.skipped["binary files"] += 1
            return
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            self._out.failed(shown, exc.strerror)
            return
        with os.fdopen(fd, "rb", buffering=0) as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                self._out.skipped["devices, pipes and sockets"] += 1
                return
            if info.st_size > self._file_bytes_max:
                self._out.failed(shown, f"{info.st_size:,} bytes, more than {self._file_bytes_max:,} (--max-file-size)")
                return
            try:
                self._pieces(file.read, shown)
            except OSError as exc:
                self._out.failed(shown, exc.strerror)

    def _pieces(self, read: Callable[[int], bytes], shown: str) -> None:
        self._out.looked_at["files"] += 1
        carried, line, seen_until, first = b"", 1, 0, True
        base = 0
        while True:
            piece = read(PIECE)
            block = carried + piece
            if first:
                first = False
                if block.startswith((b"\xff\xfe", b"\xfe\xff")):
                    block = self._utf16(block, read)
                    piece = b""
                elif b"\0" in block[:8192]:
                    self._out.skipped["binary files"] += 1
                    return
                if _FILE_ALLOWED in block[:4096]:
                    self._out.skipped["files that say switchgear:allow-file"] += 1
                    return
                self._whole(shown, block, complete=len(piece) < PIECE)
            if not block:
                return
            self._out.looked_at["bytes"] += len(piece) or len(block)
            self._out.progress(len(piece), shown)
            last = len(piece) < PIECE
            cut = len(block) if last else block.rfind(b"\n", len(block) - AFTER_MAX) + 1 or len(block)
            self._block(block[:cut] if cut < len(block) else block, shown, line, base, seen_until)
            seen_until = base + cut
            if last:
                return
            # A line without end is read with an overlap, so that a key across the cut is seen whole.
            keep = cut if cut < len(block) else max(0, len(block) - BEFORE_MAX)
            line += block.count(b"\n", 0, keep)
            base += keep
            carried = block[keep:]

    def _utf16(self, block: bytes, read: Callable[[int], bytes]) -> bytes:
        data = block + read(SMALL_BYTES_MAX)
        return data.decode("utf-16", "replace").encode()

    def _block(self, block: bytes, shown: str, line: int, base: int, seen_until: int) -> None:
        counted, at = 0, line
        for start, end, tags in self._sieve.lines(block):
            at += block.count(b"\n", counted, start)
            counted = start
            self._line(block, start, end, tags, shown, at, seen_until - base)
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
            sdk = packages.imported(line)
            if sdk is not None:
                self._sdk("imports", sdk, shown, number)
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

    # findings

    def key(self, hit: Hit, shown: str, where: str) -> None:
        """Report a key: masked, with a keyed hash."""
        rule = hit.rule
        severity: Severity = rule.severity
        if _AS_DOCUMENTATION.search(shown):
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
                fix="rotate it, keep it in the gateway (switchgear credential add) and use a virtual key here",
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
        for host, port in hosts_in(line):
            if (host, port) in self._gateway.origins:
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
            name = self._tools.domains.match(host)
            if name is None:
                continue
            severity: Severity = "critical" if name.use == "malicious" else "low" if name.use == "api" else "info"
            if _AS_DOCUMENTATION.search(shown):
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
        self._out.advise(matches, product.id, version, where, _AS_DOCUMENTATION.search(where) is not None)

    def flags(self, text: str, where: str, shown: str) -> None:
        """Report settings that open a tool to others."""
        for flag, severity, what in flags.found_in(text):
            self._out.add(
                Finding(
                    id=plain_identity("flag", flag, shown),
                    kind="flag",
                    rule=flag,
                    severity=worse(severity, -1) if _AS_DOCUMENTATION.search(shown) else severity,
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

    def _model_file(self, shown: str) -> None:
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

    def _credential_file(self, path: str, shown: str, owner: str) -> None:
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

    def _whole(self, shown: str, block: bytes, complete: bool) -> None:
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
            self._config("litellm", "LiteLLM proxy", shown, f"switchgear import litellm {shown}")
        elif (product := clients.gateway_file(shown, self._tools.gateway_files)) is not None and product != "litellm":
            self._config(product, self._tools.services.by_id[product].name, shown, _next_step(product))
        if not complete:
            return
        if clients.is_mcp_file(shown):
            self._mcp(shown, block)
        for package in packages.of_manifest(name, block):
            self.package(package, shown)

    def _config(self, product: str, name: str, shown: str, fix: str) -> None:
        self._out.add(
            Finding(
                id=plain_identity("config", product, shown),
                kind="config",
                rule=product,
                severity="medium",
                verdict="bypass",
                title=f"configuration of another gateway: {name}",
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

    def package(self, package: packages.Package, where: str, installed: bool = False) -> None:
        """Report a package that calls or serves AI, and what advisories say of its version."""
        product = self._tools.services.of_package(package.ecosystem, package.name)
        known = package.name in packages.SDKS[package.ecosystem]
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
                        "purl": f"pkg:{package.ecosystem}/{package.name}"
                        + (f"@{package.version}" if package.version else "")
                    },
                )
            )
        if package.version is not None:
            self._out.advise(matches, package.name, package.version, where, _AS_DOCUMENTATION.search(where) is not None)

    def _kubernetes(self, block: bytes, shown: str) -> None:
        for name, value in _K8S_DATA.findall(block):
            try:
                decoded = base64.b64decode(value, validate=True)
            except binascii.Error:
                continue
            text = name + b"=" + decoded
            self.keys_in(text, shown, lambda _, n=name: f"{shown} (Secret data {n.decode()})")  # type: ignore[misc]


def _next_step(product: str) -> str:
    if product == "litellm":
        return "switchgear import litellm CONFIG"
    return "register it as a provider (switchgear provider add) or take it down"
