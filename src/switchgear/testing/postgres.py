"""A real PostgreSQL on a folder of its own, for tests. Level 5."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from switchgear.testing import patience


def binaries() -> Path | None:
    """Return the folder with PostgreSQL's programs, or None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3].partition(".")[0]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return Path(path).parent if path else None


class Postgres:
    """A server that listens on a Unix socket only. As root it runs as `nobody`: PostgreSQL refuses root."""

    def __init__(self, folder: Path, locale: tuple[str, ...] = ("--locale=C",)) -> None:
        """`folder` gets the server's log. `locale` are options of initdb: how its texts compare by default."""
        programs = binaries()
        assert programs is not None, "PostgreSQL is not installed"
        # Paths of Unix sockets are short, and pytest's folders are not; root's are closed to others.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if user is not None:
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user is not None else {}
        data = self._folder / "data"
        command = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "test",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            *locale,
        ]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **options)  # type: ignore[call-overload] # noqa: S603
        server = [
            str(programs / "postgres"),
            "-D",
            str(data),
            "-k",
            str(self._folder),
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
        ]
        with open(folder / "postgres.log", "wb") as log:
            self._process = subprocess.Popen(server, stdout=log, stderr=log, cwd="/", **options)  # type: ignore[call-overload] # noqa: S603
        self.url = f"postgresql://test@/postgres?host={self._folder}"
        # The socket is there before the server takes connections ("the database system is starting up").
        ready = [str(programs / "pg_isready"), "-q", "-h", str(self._folder)]

        def is_ready() -> bool:
            return self._process.poll() is not None or subprocess.run(ready, check=False).returncode == 0  # noqa: S603

        if not patience.until(is_ready) or self._process.poll() is not None:
            self._process.kill()
            self._process.wait()
            raise RuntimeError((folder / "postgres.log").read_text())

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self._process.terminate()
        self._process.wait(patience.PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)
