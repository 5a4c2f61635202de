"""What the supervisor knows of its children, and what the status says of them. Level 6."""

import os
import subprocess

import msgspec

from switchgear import __version__
from switchgear.app.state import SupervisorState
from switchgear.confine.cell import ConfinementReport

CRASHES_MAX = 5
CRASH_WINDOW_S = 60.0


class Child:
    """One slot: a role, and the process that fills it at the moment."""

    def __init__(self, role: str, number: int = 0) -> None:
        self.role = role
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_fd = -1
        self.lifeline_fd = -1
        self.is_ready = False
        self.crashes: list[float] = []
        self.failed_starts = 0
        self.start_at_s = 0.0
        self.final_code: int | None = None
        self.lifesign_fd = -1
        self.hung_s: list[float] = []
        """When it was given up because it did not move any more."""
        self.reason = ""
        """Why its last start failed, as it said."""
        self.held: ConfinementReport | None = None
        """What holds of its confinement, as it said when it was ready."""

    @property
    def name(self) -> str:
        """Role and number."""
        return f"{self.role}-{self.number}" if self.role == "edge" else self.role


def problems_of(children: list[Child], is_welcomed: bool, now_s: float) -> list[str]:
    """Return what is wrong with children, a sentence each. `is_welcomed`: all of them were ready once."""
    often = [
        f"{child.name} ended {len(child.crashes)} times within a minute"
        for child in children
        if len([at for at in child.crashes if now_s - at < CRASH_WINDOW_S]) > CRASHES_MAX
    ]
    hung = [
        f"{child.name} gave no sign of life and was replaced (within a minute: {len(child.hung_s)} ×)"
        for child in children
        if child.hung_s and now_s - child.hung_s[-1] < CRASH_WINDOW_S
    ]
    silent = [
        f"{child.name} does not start: {child.reason}"
        for child in children
        if is_welcomed and not child.is_ready and child.reason
    ]
    silent += [
        f"{child.name} was started again and is not ready yet"
        for child in children
        if is_welcomed and not child.is_ready and not child.reason
    ]
    return [*often, *hung, *silent]


def pids_of(children: list[Child]) -> dict[str, object]:
    """Return the ids of the processes that run, by role; of vaults and edges a list."""
    several: dict[str, list[int]] = {"vault": [], "edge": []}
    pids: dict[str, object] = {"supervisor": os.getpid(), "control": None, **several}
    for child in children:
        if child.process is None:
            continue
        if child.role in several:
            several[child.role].append(child.process.pid)
        else:
            pids[child.role] = child.process.pid
    return pids


def status_of(
    state: SupervisorState,
    children: list[Child],
    config_digest: str,
    *,
    is_welcomed: bool,
    now_s: float,
    forced: str | None = None,
) -> bytes:
    """Return the status file's content, JSON. `forced`: what to say of the whole instead of what the children say."""
    problems = problems_of(children, is_welcomed, now_s)
    is_ready = all(child.is_ready for child in children)
    whole = "degraded" if problems else "ready" if is_ready else "degraded" if is_welcomed else "starting"
    return msgspec.json.encode(
        {
            "version": __version__,
            "state": forced or whole,
            "data_url": state.data_url,
            "console_url": state.console_url,
            "pids": pids_of(children),
            "problems": problems,
            "data": state.data,
            "confinement": {child.name: child.held for child in children},
            "kek": state.kek_path,
            "config_on_disk": [state.config_path, config_digest],
        }
    )
