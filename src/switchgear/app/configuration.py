"""A configuration from the disk: read with all that it includes, checked, compiled. Level 6.

`python -m switchgear.app.configuration FILE` prints what to watch, as JSON: the supervisor, which parses no YAML itself, runs it
when a file changed.
"""

import glob
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from switchgear.app.layout import Layout
from switchgear.app.supervisor import Sources, clean_environment
from switchgear.config import schema
from switchgear.config.compile import Compiled, Compiler, Process
from switchgear.config.names import Known
from switchgear.config.parts import Parts
from switchgear.config.reader import FILE_BYTES_MAX, Lookup, Reader
from switchgear.core.errors import ConfigError, ConfigProblem, UserError
from switchgear.core.secret import Secret

REFERENCE_BYTES_MAX = 1024 * 1024
NAMES_S = 30.0
NAMES_BYTES_MAX = 16 * 1024 * 1024


class Loaded(msgspec.Struct, kw_only=True):
    """A configuration that was read, checked and compiled."""

    config: schema.Config
    compiled: Compiled
    secrets: dict[tuple[str, str], Secret]
    destination_secrets: dict[str, Secret] = {}
    """Of the courier's destinations, by name."""
    warnings: list[ConfigProblem] = []
    sources: Sources = msgspec.field(default_factory=lambda: Sources([], [], ""))
    """What it was read from."""
    kept: dict[tuple[str, str], str] = {}
    """Credentials whose variable is not set here, and whose sealed secret stays."""


class Checked(msgspec.Struct, kw_only=True):
    """What reading a configuration came to, good or not."""

    loaded: Loaded
    problems: list[ConfigProblem]


class Disk:
    """Files as `parts.Sources` wants them. What is no plain file is refused: a pipe would hang, a device would not end."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises ValueError with why not."""
        data = read_bytes(path, FILE_BYTES_MAX)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise ValueError(f"is not UTF-8 (byte {exc.start})") from None

    def match(self, pattern: str) -> list[str]:
        """Return the files that match; folders do not."""
        return sorted(path for path in glob.iglob(pattern) if not Path(path).is_dir())  # noqa: PTH207  any folder may be named

    def identity(self, path: str) -> str:
        """Return the path without links and dots."""
        try:
            return os.path.realpath(path)
        except ValueError:  # a NUL in it: `read` says so
            return path


def read_bytes(path: str, bytes_max: int) -> bytes:
    """Return a plain file's content. Raises ValueError with why it cannot be had."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError("does not exist") from None
    except OSError as exc:
        raise ValueError(f"cannot be read: {(exc.strerror or str(exc)).lower()}") from None
    except ValueError:  # a NUL in the path
        raise ValueError("is not a file's name") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("is not a plain file")
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as exc:
        raise ValueError(f"cannot be read: {(exc.strerror or str(exc)).lower()}") from None
    finally:
        os.close(fd)
    if len(data) > bytes_max:
        raise ValueError(f"is over {bytes_max >> 20} MiB")
    return data


def read_text(path: str) -> str | None:
    """Return a plain file's text, or None."""
    try:
        return read_bytes(path, REFERENCE_BYTES_MAX).decode("utf-8")
    except ValueError:
        return None


def _lookup(environ: dict[str, str], texts: dict[str, str]) -> Lookup:
    def look_up(kind: str, name: str) -> str | None:
        if kind == "env":
            return environ.get(name, texts.get(name))
        return read_text(name)

    return look_up


def check_config(
    path: Path,
    environ: dict[str, str],
    *,
    known: Known | None = None,
    running: Compiled | None = None,
    without_secrets: bool = False,
    now_ms: int | None = None,
) -> Checked:
    """Read and check a configuration with its includes: every problem at once. Raises UserError when the file cannot be read.

    `known` and `running` are what a running gateway has; see `Compiler`.
    """
    texts = running.texts if running is not None else {}
    reader = Reader(_lookup(environ, texts), without_secrets)
    parts = Parts(reader, Disk())
    try:
        node = parts.gather(str(path))
    except ValueError as exc:
        raise UserError(f"the configuration file {path} {exc}", "", 2) from None
    config = reader.read(node)
    compiler = Compiler(config, reader, read_text, known=known, running=running, now_ms=now_ms)
    compiled = compiler.compile(str(path.absolute()), digest(parts.files.items()))
    warnings = [*compiler.warnings]
    for file, line, pattern in parts.empty_patterns:
        text = f"{pattern!r} matches no file"
        warnings.append(ConfigProblem(file=file, line=line, path="include", message=text, is_warning=True))
    problems = [*reader.problems, *compiler.problems]
    process = compiled.process
    if process.tls_cert and process.tls_key and not (without_secrets and not _readable(process)):
        wrong = tls_problem(process.tls_cert, process.tls_key)
        if wrong is not None:
            file, line = reader.lines.get("listen.tls", ("", 0))
            problems.append(ConfigProblem(file=file, line=line, path="listen.tls", message=wrong))
    compiled = _absolute(compiled)
    loaded = Loaded(
        config=config,
        compiled=compiled,
        secrets=compiler.secrets,
        destination_secrets=compiler.destination_secrets,
        warnings=_sorted(warnings),
        sources=_watched(parts, compiled.digest),
        kept=compiler.kept,
    )
    return Checked(loaded=loaded, problems=_sorted(problems))


def _readable(process: Process) -> bool:
    return all(os.access(path, os.R_OK) for path in (process.tls_cert, process.tls_key))


def _sorted(problems: list[ConfigProblem]) -> list[ConfigProblem]:
    order = {file: number for number, file in enumerate(dict.fromkeys(p.file for p in problems))}
    return sorted(dict.fromkeys(problems), key=lambda p: (order[p.file], p.line))


def _whole(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100  as Path.absolute, without dots; links stay


def _whole_reference(text: str) -> str:
    return f"file:{_whole(text.removeprefix('file:'))}" if text.startswith("file:") else text


def _absolute(compiled: Compiled) -> Compiled:
    """Return a configuration whose paths do not depend on the working folder."""
    destinations = tuple(
        msgspec.structs.replace(spec, reference=_whole_reference(spec.reference))
        for spec in compiled.process.destinations
    )
    process = msgspec.structs.replace(
        compiled.process,
        destinations=destinations,
        tls_cert=_whole(compiled.process.tls_cert) if compiled.process.tls_cert else "",
        tls_key=_whole(compiled.process.tls_key) if compiled.process.tls_key else "",
    )
    providers = tuple(
        msgspec.structs.replace(
            spec,
            references={name: _whole_reference(text) for name, text in spec.references.items()},
        )
        for spec in compiled.providers
    )
    return msgspec.structs.replace(compiled, process=process, providers=providers)


def load_config(
    path: Path | None,
    environ: dict[str, str],
    *,
    known: Known | None = None,
    running: Compiled | None = None,
    now_ms: int | None = None,
) -> Loaded:
    """Read and compile a configuration with its includes. Raises ConfigError with every problem."""
    if path is None:
        return Loaded(config=schema.Config(), compiled=Compiled(), secrets={})
    checked = check_config(path, environ, known=known, running=running, now_ms=now_ms)
    if checked.problems:
        raise ConfigError(checked.problems)
    return checked.loaded


def tls_problem(cert: str, key: str) -> str | None:
    """Say why a certificate and its key cannot be used; None when they can."""
    import ssl  # noqa: PLC0415  few commands need it

    for path in (cert, key):
        try:
            read_bytes(path, REFERENCE_BYTES_MAX)
        except ValueError as exc:
            return f"the file {path} {exc}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as exc:
        return f"{cert} and {key} cannot be used: {_openssl(exc)}"
    return None


def _no_password() -> str:
    raise ValueError("the key is encrypted with a passphrase, and nobody can be asked for it")


def _openssl(exc: Exception) -> str:
    reason = getattr(exc, "reason", None)
    told = {
        "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
        "NO_START_LINE": "no PEM block is in them",
    }
    return told.get(str(reason), str(exc)) if reason else str(exc)


def store_names(layout: Layout) -> Known | None:
    """Return what the store of a stopped gateway has, read by a process that becomes the store's owner; None without a store."""
    if not layout.had_store:
        return None
    done = subprocess.run(  # noqa: S603  our own interpreter and module, no shell
        [sys.executable, "-I", "-m", "switchgear.app.store_names", str(layout.store)],
        check=False,
        capture_output=True,
        env=clean_environment(os.environ),
        timeout=NAMES_S,
    )
    try:
        return msgspec.json.decode(done.stdout[:NAMES_BYTES_MAX], type=Known)
    except msgspec.DecodeError:
        return None


# what is on the disk now


def digest(files: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the SHA-256 of some files, (path, content), of their number and order."""
    total = hashlib.sha256()
    for _, content in files:
        data = content.encode() if isinstance(content, str) else content
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def watch(path: str) -> Sources:
    """Return what a configuration is read from now, and its digest: empty when it cannot be read."""
    reader = Reader(lambda kind, name: None, without_secrets=True)
    parts = Parts(reader, Disk())
    try:
        parts.gather(path)
    except ValueError:
        return Sources(files=[path], patterns=[], digest="")
    return _watched(parts, digest(parts.files.items()))


def _watched(parts: Parts, found: str) -> Sources:
    files, patterns = (sorted(map(_whole, paths)) for paths in (parts.files, parts.patterns))
    return Sources(files=files, patterns=patterns, digest=found)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(watch(sys.argv[1])))
