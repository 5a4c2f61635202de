"""What the store of a stopped gateway has besides a file: names of its providers and models, printed as JSON. Level 6.

Run as the store's owner, never as root: `serve` asks when a configuration names what it does not declare.
"""

import sys

import msgspec
from sqlalchemy import create_engine, select

from switchgear.config.names import Known
from switchgear.store import tables


def read(path: str) -> Known:
    """Return the names in a database, opened for reading alone."""
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(tables.objects.c.kind, tables.objects.c.name)).all()
    finally:
        engine.dispose()
    providers, models = (frozenset(name for kind, name in rows if kind == wanted) for wanted in ("provider", "model"))
    return Known(providers=providers, models=models)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read(sys.argv[1])))
