"""What the store of a stopped gateway has besides a file: names of its providers and models, printed as JSON. Level 6.

A process of its own: `serve` asks when a configuration names what it does not declare. Root first shuts itself into the store's
folder and becomes its owner: what stands there is control's.
"""

import os
import sys
from pathlib import Path

import msgspec
from sqlalchemy import Engine, create_engine, select

from switchgear.config.names import Known
from switchgear.confine import privileges
from switchgear.store import objects, tables
from switchgear.store.backends import sqlite


def read(path: str) -> Known:
    """Return the names in a database, opened for reading alone."""
    engine = sqlite.read_only(path)
    try:
        return _names(engine)
    finally:
        engine.dispose()


def _names(engine: Engine) -> Known:
    with engine.connect() as connection:
        there = tables.objects.c.spec != objects.REMOVED
        rows = connection.execute(select(tables.objects.c.kind, tables.objects.c.name).where(there)).all()
    providers, models = (frozenset(name for kind, name in rows if kind == wanted) for wanted in ("provider", "model"))
    return Known(providers=providers, models=models)


def become_owner(store: Path) -> str:
    """Return where the store is to be opened; root is its folder's owner from then on, and sees nothing else."""
    if os.geteuid() != 0:
        return str(store)
    memory = create_engine("sqlite://")
    tables.metadata.create_all(memory)
    _names(memory)  # what the libraries import late cannot be imported from inside
    fd = os.open(store.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    owner = os.fstat(fd)
    os.fchdir(fd)
    os.chroot(".")
    os.close(fd)
    privileges.become(owner.st_uid, owner.st_gid, ())
    return f"/{store.name}"


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read(become_owner(Path(sys.argv[1])))))
