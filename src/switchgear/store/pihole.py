"""Reads the queries of a Pi-hole's database (pihole-FTL.db), read-only. Level 2.

The file is opened immutable: a running Pi-hole is not disturbed and no journal is made beside it; what it writes meanwhile is
not seen. Source: Pi-hole's documentation of its query database, view `queries` (read 2026-11).
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Column, Float, MetaData, String, Table, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

_QUERIES = Table("queries", MetaData(), Column("timestamp", Float), Column("domain", String), Column("client", String))
BATCH = 10_000


def queries(path: Path) -> Iterator[tuple[float, str, str]]:
    """Yield (seconds since the epoch, name, client). Raises OSError when the file is no such database."""
    name = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    engine = create_engine(URL.create("sqlite", database=name, query={"uri": "true"}))
    try:
        with engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH) as connection:
            columns = (_QUERIES.c.timestamp, _QUERIES.c.domain, _QUERIES.c.client)
            for at, domain, client in connection.execute(select(*columns)):
                if isinstance(domain, str) and isinstance(client, str):
                    yield float(at or 0), domain, client
    except (SQLAlchemyError, ValueError) as exc:
        reason = str(getattr(exc, "orig", None) or exc)
        raise OSError(f"not a Pi-hole database: {reason.splitlines()[0]}") from None
    finally:
        engine.dispose()
