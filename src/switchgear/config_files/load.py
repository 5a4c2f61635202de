"""A configuration from the disk: read with all that it includes, checked, compiled. Level 2."""

import os
from pathlib import Path

import msgspec

from switchgear.config import schema
from switchgear.config.compile import Compiled, Compiler, Process
from switchgear.config.names import Known
from switchgear.config.parts import Parts
from switchgear.config.reader import Lookup, Reader
from switchgear.config_files.files import Disk, read_text
from switchgear.config_files.sources import Sources
from switchgear.config_files.tls_pair import tls_problem
from switchgear.config_files.watch import sources_of, whole
from switchgear.core.errors import ConfigError, ConfigProblem, UserError
from switchgear.core.secret import Secret


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
    unset: dict[str, str] = {}
    """At a start: credentials whose secret is not there, by `provider/credential`, each with a sentence."""


class Checked(msgspec.Struct, kw_only=True):
    """What reading a configuration came to, good or not."""

    loaded: Loaded
    problems: list[ConfigProblem]


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
    at_start: bool = False,
) -> Checked:
    """Read and check a configuration with its includes: every problem at once. Raises UserError when the file cannot be read.

    `known` and `running` are what a running gateway has, `at_start` is of one that begins; see `Compiler`.
    """
    texts = running.texts if running is not None else {}
    reader = Reader(_lookup(environ, texts), without_secrets)
    parts = Parts(reader, Disk())
    try:
        node = parts.gather(str(path))
    except ValueError as exc:
        raise UserError(f"the configuration file {path} {exc}", "", 2) from None
    config = reader.read(node)
    compiler = Compiler(config, reader, read_text, known=known, running=running, now_ms=now_ms, at_start=at_start)
    sources = sources_of(parts)
    compiled = compiler.compile(str(path.absolute()), sources.digest)
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
        sources=sources,
        kept=compiler.kept,
        unset=compiler.unset,
    )
    return Checked(loaded=loaded, problems=_sorted(problems))


def _readable(process: Process) -> bool:
    return all(os.access(path, os.R_OK) for path in (process.tls_cert, process.tls_key))


def _sorted(problems: list[ConfigProblem]) -> list[ConfigProblem]:
    order = {file: number for number, file in enumerate(dict.fromkeys(p.file for p in problems))}
    return sorted(dict.fromkeys(problems), key=lambda p: (order[p.file], p.line))


def _whole_reference(text: str) -> str:
    return f"file:{whole(text.removeprefix('file:'))}" if text.startswith("file:") else text


def _absolute(compiled: Compiled) -> Compiled:
    """Return a configuration whose paths do not depend on the working folder."""
    destinations = tuple(
        msgspec.structs.replace(spec, reference=_whole_reference(spec.reference))
        for spec in compiled.process.destinations
    )
    process = msgspec.structs.replace(
        compiled.process,
        destinations=destinations,
        tls_cert=whole(compiled.process.tls_cert) if compiled.process.tls_cert else "",
        tls_key=whole(compiled.process.tls_key) if compiled.process.tls_key else "",
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
    at_start: bool = False,
) -> Loaded:
    """Read and compile a configuration with its includes. Raises ConfigError with every problem."""
    if path is None:
        return Loaded(config=schema.Config(), compiled=Compiled(), secrets={})
    checked = check_config(path, environ, known=known, running=running, now_ms=now_ms, at_start=at_start)
    if checked.problems:
        raise ConfigError(checked.problems)
    return checked.loaded
