"""Is the installed code what was installed? RECORD hashes, foreign start-up files, open folders. Level 5.

The RECORD of a package is not signed: this finds changes by mistake, by other packages and by whoever did not think of it.
"""

import base64
import csv
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from switchgear.detect.checks import finding
from switchgear.detect.finding import Finding

START_UP = frozenset({"sitecustomize.py", "usercustomize.py"})
NAMED_MAX = 20


def installed() -> list[tuple[str, str]]:
    """Return (name, version) of the packages of this environment."""
    return sorted({(d.metadata["Name"], d.version) for d in metadata.distributions() if d.metadata["Name"]})


def site_folders() -> list[Path]:
    """Return the folders from which this interpreter loads packages."""
    return sorted({Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages")) and Path(p).is_dir()})


def check(folder: Path, progress: Callable[[int, str], None] = lambda n, what: None) -> Iterator[Finding]:
    """Compare one folder of packages with what their RECORDs say."""
    known: set[str] = set()
    changed: list[str] = []
    missing: list[str] = []
    for record in sorted(folder.glob("*.dist-info")):
        package = record.name.removesuffix(".dist-info")
        progress(1, package)
        try:
            rows = list(csv.reader((record / "RECORD").read_text("utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error):
            yield finding(
                "record-missing",
                "low",
                f"{package} has no readable RECORD",
                str(record),
                "install it anew with pip",
                package,
            )
            continue
        for row in rows:
            if not row or not row[0]:
                continue
            known.add(os.path.normpath(row[0]))
            state = _compare(folder / row[0], row[1] if len(row) > 1 else "")
            if state is not None:
                (missing if state == "missing" else changed).append(f"{package}: {row[0]}")
    fix = "install it anew: rm -rf .venv && make install; then find out who changed it"
    for path in changed[:NAMED_MAX]:
        yield finding("file-changed", "critical", f"{path} is not what was installed", str(folder), fix, path)
    if len(changed) > NAMED_MAX:
        yield finding(
            "file-changed", "critical", f"{len(changed) - NAMED_MAX} more files are changed", str(folder), fix, "more"
        )
    for path in missing[:NAMED_MAX]:
        yield finding("file-missing", "medium", f"{path} is missing", str(folder), fix, path)
    yield from _start_up(folder, known)
    if os.stat(folder).st_mode & 0o002:
        yield finding(
            "packages-writable", "critical", "every user can write to the packages", str(folder), f"chmod o-w {folder}"
        )


def _compare(path: Path, recorded: str) -> str | None:
    algorithm, _, wanted = recorded.partition("=")
    if algorithm != "sha256" or path.suffix == ".pyc":
        return None
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "changed"
        digest = hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        return "missing"
    except OSError:
        return None  # another user's: doctor says so by its modes
    return None if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == wanted.rstrip("=") else "changed"


def _start_up(folder: Path, known: set[str]) -> Iterator[Finding]:
    for path in sorted(folder.iterdir()):
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                continue
        except OSError:
            continue
        if path.name in START_UP and path.name not in known:
            yield finding(
                "sitecustomize",
                "high",
                f"{path.name} belongs to no package",
                str(path),
                "look at it; remove it",
                path.name,
            )
        if path.suffix == ".pth" and path.name not in known and _runs_code(path):
            title = f"{path.name} belongs to no package and runs code at every start"
            yield finding(
                "pth-foreign", "critical", title, str(path), "look at it; take the machine off the network", path.name
            )


def _runs_code(path: Path) -> bool:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return True
    return any(line.startswith(("import ", "import\t")) for line in lines)
