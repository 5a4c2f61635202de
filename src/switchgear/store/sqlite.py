"""How SQLite is opened: never created by accident, in WAL mode, synced at each commit, no file but its own. Level 2.

The pragmas are the only statement texts in the program; SQLAlchemy has no construct for them (a test allows them here).
"""

import sqlite3
from pathlib import Path
from urllib.parse import quote

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-8192",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA temp_store=MEMORY",
)

BEGIN = "BEGIN"


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open a database. Without `create` a missing file is an error: an empty database must never take its place."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None, timeout=5.0
    )
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection
