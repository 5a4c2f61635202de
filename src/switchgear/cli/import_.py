"""`switchgear import litellm`: a LiteLLM's configuration, keys and spend, as a report, a file, or applied. Level 7."""

import os
import shlex
import stat
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from switchgear.cli import vault_key
from switchgear.cli.base import Bar, Column, Group, Output, cleaned, counted, now_ms, say, with_client
from switchgear.cli.client import Client
from switchgear.config import schema
from switchgear.config.compile import Compiled, Compiler
from switchgear.config.reader import Reader
from switchgear.core.errors import ConfigProblem, UserError
from switchgear.core.secret import Secret
from switchgear.core.text import is_deep
from switchgear.importers import litellm as translate
from switchgear.importers import litellm_cipher, litellm_rows
from switchgear.importers.litellm import Imported
from switchgear.importers.litellm_parts import Line
from switchgear.providers.endpoint import KEYLESS
from switchgear.vault.sealing import seal_one

FILE_BYTES_MAX = 16 * 1024 * 1024
INCLUDES_MAX = 100
EMPTY_EXIT, NOT_COMPLETE_EXIT, PARTIAL_EXIT = 1, 3, 4
ROUNDS_MAX = 20
SILENT_SHOWN = 20
_PATH = click.Path(path_type=Path)


@click.group("import", cls=Group)
def import_() -> None:
    """Take over from another gateway."""


@import_.command(
    epilog="""Examples:

\b
  switchgear import litellm config.yaml                              the report alone; changes nothing
  switchgear import litellm config.yaml --out imported.yaml
  switchgear import litellm config.yaml --database postgresql://reader@db/litellm --salt-key-file salt --apply

os.environ/NAME is read from the environment of this command: run it where LiteLLM runs.
Exit: 0 everything has a counterpart, 1 nothing could be taken over, 3 something has no counterpart (listed), or no model would
answer, 4 something could not be applied."""
)
@click.argument("config", type=_PATH)
@click.option(
    "--database", metavar="URL", envvar="SWITCHGEAR_IMPORT_DATABASE", help="LiteLLM's PostgreSQL: keys, teams, spend."
)
@click.option(
    "--salt-key-file", type=_PATH, help="File with LITELLM_SALT_KEY (or the master key): opens stored credentials."
)
@click.option("--out", "out_file", type=_PATH, help="Write a configuration file; secrets stay references.")
@click.option("--apply", "apply_", is_flag=True, help="Add everything to the running gateway; may be repeated.")
@with_client
def litellm(
    client: Client,
    out: Output,
    config: Path,
    database: str | None,
    salt_key_file: Path | None,
    out_file: Path | None,
    apply_: bool,
) -> int:
    """Import a LiteLLM: models, credentials, fallbacks, aliases, keys by their hashes, spend to date. Without --apply a dry run."""
    salt = _salt(salt_key_file)
    rows = None
    if database is not None:
        from switchgear.store import litellm as store  # noqa: PLC0415 - SQLAlchemy takes 0.2 s, and most runs need none

        rows = litellm_rows.database(store.read(database))
    open_value = None if salt is None else lambda text: litellm_cipher.open_value(text, salt)
    found = translate.Importer(read_config(config), rows, open_value, os.environ).run()
    text, compiled, problems = settle(found)
    if found.is_empty:
        _report(out, found, [], None, True)
        raise UserError(
            "nothing was taken over: no model and no key could be imported", "every reason is listed above", EMPTY_EXIT
        )
    if out_file is not None:
        _write(out_file, text)
    applied: list[Line] = []
    if apply_:
        if problems or compiled is None:
            raise UserError(
                f"what was imported does not hold together: {problems[0]}", "write it with --out and mend it", 1
            )
        count = len(compiled.providers) + len(compiled.models) + len(compiled.keys)
        with Bar(count, "applying", sys.stderr.isatty()) as step:
            applied = Applier(client, found, compiled, dict(os.environ), step).run()
    _report(out, found, applied, out_file, apply_)
    if any(line.status == "unsupported" for line in applied):
        return PARTIAL_EXIT
    silent = found.silent(lambda provider, name: has_secret(found, provider, name))
    if found.wanted and len(silent) == len(found.wanted):
        return PARTIAL_EXIT if apply_ else NOT_COMPLETE_EXIT
    return 0 if found.is_complete else NOT_COMPLETE_EXIT


def _salt(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        salt = path.read_bytes().strip()
    except OSError as exc:
        raise UserError(f"--salt-key-file {path}: {exc.strerror}", "", 2) from None
    if not salt:
        raise UserError(f"--salt-key-file {path} is empty", "", 2)
    return salt


def read_config(path: Path, depth: int = 0) -> dict[str, Any]:
    """Read a LiteLLM configuration with the files that it includes. Raises UserError."""
    if depth > INCLUDES_MAX:
        raise UserError(f"{path}: files include each other in a circle", "", 2)
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise UserError(f"{path} has more than {FILE_BYTES_MAX:,} bytes", "", 2)
        if is_deep(data.decode("utf-8", "replace")):
            raise UserError(f"{path}: brackets are nested too deeply", "", 2)
        raw = yaml.load(data, Loader=yaml.CSafeLoader)
    except OSError as exc:
        raise UserError(f"{path}: {exc.strerror}", "", 2) from None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
        raise UserError(f"{path}:{line}: not YAML: {exc.problem}", "", 2) from None
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise UserError(f"{path}: not YAML: {exc}", "", 2) from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a configuration of LiteLLM: a mapping with model_list is expected", "", 2)
    for name in raw.pop("include", None) or []:
        for key, value in read_config(path.parent / str(name), depth + 1).items():
            if isinstance(value, list) and isinstance(raw.get(key), list):
                raw[key] = [*raw[key], *value]
            else:
                raw.setdefault(key, value)
    return raw


def as_yaml(found: Imported) -> str:
    """Write a configuration file; secrets are references, or `sealed: true` for what goes into the vault."""
    plain = _trimmed(msgspec.structs.replace(found.config))
    for provider, spec in (plain.get("providers") or {}).items():
        for credential in spec.get("credentials", []):
            variable = found.environment.get((provider, credential.get("name", "default")))
            path = found.files.get((provider, credential.get("name", "default")))
            if variable is not None:
                credential["secret"] = {"env": variable}
            elif path is not None:
                credential["secret"] = {"file": str(Path(path).expanduser().absolute())}
    return yaml.safe_dump({"version": 1, **plain}, sort_keys=False, allow_unicode=True, width=110)


def _trimmed(value: Any) -> Any:
    """Return builtins without what equals the default."""
    if isinstance(value, msgspec.Struct):
        found = {}
        for field in msgspec.structs.fields(type(value)):
            item = getattr(value, field.name)
            default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
            if field.required or item != default:
                found[field.name] = _trimmed(item)
        return found
    if isinstance(value, dict):
        return {name: _trimmed(item) for name, item in value.items()}
    return [_trimmed(item) for item in value] if isinstance(value, list) else value


def check(text: str) -> tuple[Compiled | None, list[ConfigProblem]]:
    """Compile what was written, as `config check` would; secrets count as given."""
    reader = Reader(lambda _kind, _name: "given")
    node = reader.compose(text, "imported")
    config = reader.read(node)
    compiler = Compiler(config, reader, lambda _name: None)
    compiled = compiler.compile()
    problems = [*reader.problems, *compiler.problems]
    return (None if reader.problems else compiled), problems


def settle(found: Imported) -> tuple[str, Compiled | None, list[ConfigProblem]]:
    """Return what is written, compiled, and what is still wrong with it. What does not hold together costs the provider,
    model or key where it stands, and that is listed."""
    for _ in range(ROUNDS_MAX):
        text = as_yaml(found)
        compiled, problems = check(text)
        parts = {part for problem in problems if (part := _part_of(found.config, problem.path)) is not None}
        if not parts:
            break
        found.lines += [Line("unsupported", p.path, f"{p.message}: left out") for p in problems]
        for section, name in parts:
            _leave_out(found.config, section, name)
    found.lines += [Line("unsupported", p.path, p.message) for p in problems]
    return text, compiled, problems


def _part_of(config: schema.Config, path: str) -> tuple[str, str] | None:
    """Return (section, name) of the part of a configuration that a path leads into; names may hold dots."""
    section, _, rest = path.partition(".")
    if section not in {"providers", "models", "keys"}:
        return None
    names = [name for name in getattr(config, section) if rest == name or rest.startswith((f"{name}.", f"{name}["))]
    return (section, max(names, key=len)) if names else None


def _leave_out(config: schema.Config, section: str, name: str) -> None:
    getattr(config, section).pop(name, None)
    if section == "keys":
        return
    gone = set()
    for model_name, model in config.models.items():
        if isinstance(model, schema.Model):
            model.deployments = [d for d in model.deployments if section != "providers" or d.provider != name]
            model.fallback = [other for other in model.fallback if section != "models" or other != name]
            if (model.alias is None and not model.deployments) or (section == "models" and model.alias == name):
                gone.add(model_name)
    for model_name in gone:
        _leave_out(config, "models", model_name)


def has_secret(found: Imported, provider: str, name: str) -> bool:
    """Tell whether the secret of a credential, which stands in the environment or in a file, is there."""
    variable = found.environment.get((provider, name))
    if variable is not None:
        return bool(os.environ.get(variable))
    path = found.files.get((provider, name))
    return path is not None and Path(path).expanduser().is_file()


class Applier:
    """Adds everything to a running gateway, in an order in which a repetition goes on where it stopped."""

    def __init__(
        self,
        client: Client,
        found: Imported,
        compiled: Compiled,
        environ: Mapping[str, str],
        step: Callable[[int, str], None] = lambda n, what: None,
    ) -> None:
        self._client = client
        self._found = found
        self._compiled = compiled
        self._environ = environ
        self._step = step
        self.lines: list[Line] = []

    def run(self) -> list[Line]:
        """Do it. What exists already stays as it is and is said so."""
        public = vault_key.of(self._client)
        there = {p["name"]: p["spec"] for p in self._client.call("GET", "/providers")["providers"]}
        held = {c["id"] for c in self._client.call("GET", "/credentials")["credentials"] if c["state"] == "active"}
        for spec in self._compiled.providers:
            if spec.name not in there:
                self._do(f"provider {spec.name}", "POST", "/providers", msgspec.json.encode(spec))
            for name in spec.credentials or ("none",):
                secret = self._secret(spec.name, name, spec.place(name).auth in KEYLESS)
                if secret is None:
                    if f"{spec.name}/{name}" not in held:
                        said = f"no secret: switchgear credential add {spec.name} --name {name}"
                        self.lines.append(Line("unsupported", f"credential {spec.name}/{name}", said))
                    continue
                body = msgspec.json.encode({"put": seal_one(spec, name, secret, public, now_ms())})
                self._do(f"credential {spec.name}/{name}", "PUT", "/credentials", body)
        for model in sorted(self._compiled.models, key=lambda m: (m.alias is not None, bool(m.fallback))):
            self._do(f"model {model.name}", "POST", "/models", msgspec.json.encode(model))
        for kind, declared in (("team", self._found.config.teams), ("user", self._found.config.users)):
            for name, holder in declared.items():
                spent = {"spent_nanousd": self._found.spends.get(f"{kind}:{name}", 0)}
                made = {"name": name, **msgspec.to_builtins(holder), **spent}
                self._do(f"{kind} {name}", "POST", f"/{kind}s", made)
        if self._found.config.organisation.parallel is not None:
            text = (
                f"organisation: {{parallel: {self._found.config.organisation.parallel}}} is said in a file only (--out)"
            )
            self.lines.append(Line("unsupported", "organisation", text))
        for key in self._compiled.keys:
            wanted = {
                "name": key.name,
                "sha256": key.sha256,
                "spent_nanousd": self._found.spends.get(key.name, 0),
                "team": key.team,
                "user": key.user,
                "models": key.models,
                "tags": key.tags,
                "rpm": key.rpm,
                "tpm": key.tpm,
                "parallel": key.parallel,
                "budget": msgspec.to_builtins(key.budget),
                "expires": self._found.config.keys[key.name].expires,
            }
            self._do(f"key {key.name}", "POST", "/keys", wanted)
        return self.lines

    def _secret(self, provider: str, name: str, keyless: bool) -> Secret | None:
        if (provider, name) in self._found.secrets:
            return self._found.secrets[provider, name]
        variable = self._found.environment.get((provider, name))
        if variable is not None:
            value = self._environ.get(variable)
            return Secret(value.encode()) if value else None
        path = self._found.files.get((provider, name))
        if path is not None:
            try:
                return Secret(Path(path).expanduser().read_bytes().strip())
            except OSError:
                return None
        return Secret(b"") if keyless else None

    def _do(self, what: str, method: str, path: str, body: Any) -> None:
        self._step(0 if what.startswith("credential") else 1, what)
        try:
            self._client.call(method, path, body)
        except UserError as exc:
            known = "exists already" in str(exc) or "known here already" in str(exc)
            self.lines.append(Line("changed" if known else "unsupported", what, str(exc)))
        else:
            self.lines.append(Line("imported", what, "added"))


def _write(path: Path, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        raise UserError(f"{path} exists already", "choose another name, or remove it first", 2) from None
    except OSError as exc:
        raise UserError(f"{path}: {exc.strerror}", "", 2) from None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)


_MARKS = {"imported": "✔", "changed": "~", "unsupported": "✗"}


def _report(out: Output, found: Imported, applied: list[Line], out_file: Path | None, apply_: bool) -> None:
    silent = found.silent(lambda provider, name: has_secret(found, provider, name))
    if not out.for_people:
        lines = [msgspec.to_builtins(line) for line in found.lines]
        done = [msgspec.to_builtins(line) for line in applied]
        file = str(out_file) if out_file else None
        answer = {"complete": found.is_complete, "lines": lines, "applied": done, "file": file}
        answer |= {"models": len(found.wanted), "answering": len(found.wanted) - len(silent), "silent": silent}
        out.rows(answer, lines + done, tuple(Column(name.upper(), name) for name in ("status", "path", "text")))
        return
    counts = Counter(line.status for line in found.lines)
    for status in ("unsupported", "changed", "imported"):
        if status == "imported" and out.kind != "wide":
            continue
        for line in (line for line in found.lines if line.status == status):
            say(f"  {_MARKS[status]} {line.path}: {line.text}")
    config = found.config
    say(
        f"{counted(len(config.models), 'model')}, {counted(len(config.providers), 'provider')}, "
        f"{counted(len(config.keys), 'key')}: "
        + ", ".join(f"{counts[s]} {s}" for s in ("imported", "changed", "unsupported"))
        + ("" if out.kind == "wide" else "   (-o wide lists all)")
    )
    if out_file is not None:
        say(f"written to {out_file}; look at it, then: switchgear config check {shlex.quote(str(out_file))}")
    if apply_ and applied:
        did = Counter(line.status for line in applied)
        for line in applied:
            if line.status != "imported" or out.kind == "wide":
                say(f"  {_MARKS[line.status]} {line.path}: {line.text}")
        say(f"applied: {did['imported']} added, {did['changed']} there already, {did['unsupported']} not applied")
    elif not apply_:
        say("nothing was changed; --apply adds it to the running gateway")
    for name, reason in list(silent.items())[:SILENT_SHOWN]:
        say(f"  ✗ {cleaned(name)}: will not answer: {cleaned(reason)}")
    if len(silent) > SILENT_SHOWN:
        say(f"  … and {len(silent) - SILENT_SHOWN} more (--json)")
    say(f"{len(found.wanted) - len(silent)} of {counted(len(found.wanted), 'model')} will answer")
