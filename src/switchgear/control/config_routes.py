"""Routes of the configuration: read, replaced, exported, its history. Level 5."""

from typing import Any

import msgspec

from switchgear.config.compile import Compiled, check_compiled
from switchgear.control import answers, status, versions
from switchgear.control.api import Call, P, Route
from switchgear.core.errors import UserError
from switchgear.core.iso_time import format_time
from switchgear.store import holders, objects
from switchgear.vault.verbs import Put


class ConfigApply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /config: compiled and sealed by the caller."""

    compiled: Compiled
    puts: list[Put]
    drop_keys: bool = False
    """Allow that over half of the keys are revoked."""


class Rollback(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /config/rollback."""

    version: str
    """A number of the history, or `previous`."""
    dry_run: bool = False
    drop_keys: bool = False


async def get_config(call: Call) -> Any:
    """The file configuration in force, without secrets."""
    return {"compiled": versions.without_demo(call.services.publication.compiled)}


def _starts_with(call: Call) -> str | None:
    """Return the file that the supervisor was started with, empty for none; None where it did not say yet."""
    path: str | None = status.read(call.services.paths.status).get("config_on_disk", (None,))[0]
    return path


async def apply_config(call: Call) -> Any:
    """Replace the file configuration. `restart` names what holds from the next start on."""
    body: ConfigApply = call.body
    wrong = check_compiled(body.compiled)
    if wrong is not None:
        raise UserError(f"this configuration was not made by `config apply`: {wrong}", "", 2)
    await call.services.config.apply(body.compiled, body.puts, call.actor, drop_keys=body.drop_keys)
    restart = call.services.config.needs_restart()
    undone = versions.undone_at_start(body.compiled.source, _starts_with(call), restart)
    return {"digest": body.compiled.digest, "restart": restart, "undone_at_start": undone}


async def export_config(call: Call) -> Any:
    """File and store as one configuration, and notes about what it cannot say."""
    publication = call.services.publication
    state = await call.control.read(lambda c: versions.current(c, publication.compiled))
    rows, held = await call.control.read(lambda c: (objects.keys(c), holders.holders(c)))
    references = call.query.get("references") == "true"
    found, notes = versions.export(state, rows, publication.credentials, references, held)
    snapshot = publication.snapshot
    notes += [
        f"frozen, which is no configuration: {subject}" for subject in sorted(snapshot.freezes if snapshot else {})
    ]
    return {"document": found, "notes": notes}


def _shown(version: versions.Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "time": format_time(version.time_ms // 1000 * 1000),
        "actor": version.actor,
        "action": version.action,
        "summary": version.summary,
        "source": version.state.compiled.source or None,
    }


async def history(call: Call) -> Any:
    """The configurations that were in force, newest first."""
    await call.services.history.remember_now()
    return {"versions": [_shown(version) for version in reversed(await call.control.read(versions.all_of))]}


async def rollback(call: Call) -> Any:
    """Bring a configuration of the history back, or with `dry_run` tell what would change and what cannot be taken back."""
    body: Rollback = call.body
    await call.services.history.remember_now()
    known = await call.control.read(versions.all_of)
    wanted = known[-2:-1] if body.version == "previous" else [v for v in known if str(v.number) == body.version]
    if not wanted:
        raise UserError(f"there is no version {body.version[:20]!r}", "list them: switchgear config history", 2)
    version = wanted[0]
    plan = await call.services.config.plan_rollback(version.state, _starts_with(call))
    if not body.dry_run:
        await call.services.config.roll_back(plan, version.number, call.actor, drop_keys=body.drop_keys)
    return {
        **_shown(version),
        "changes": [str(change) for change in plan.changes],
        "stays": plan.stays,
        "restart": call.services.config.needs_restart(plan.state.compiled),
    }


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/config", "config:read", get_config, answers.Config),
    Route("PUT", f"{P}/config", "config:write", apply_config, answers.Applied, ConfigApply),
    Route("GET", f"{P}/config/export", "config:read", export_config, answers.Exported, query=("references",)),
    Route("GET", f"{P}/config/history", "config:read", history, answers.Versions),
    Route("POST", f"{P}/config/rollback", "config:write", rollback, answers.RolledBack, Rollback),
)
