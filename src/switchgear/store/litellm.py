"""Reads LiteLLM's database, once and read-only, for the import. Level 2.

Only the tables and columns that are there are read: they differ between its versions. Values stay as they are stored,
encrypted where LiteLLM encrypted them.
"""

import warnings
from typing import Any

from sqlalchemy import MetaData, Table, create_engine, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SAWarning, SQLAlchemyError

from switchgear.core.errors import UserError

TABLES = {
    # Our name → theirs (schema.prisma, read 2026-11).
    "keys": "LiteLLM_VerificationToken",
    "teams": "LiteLLM_TeamTable",
    "users": "LiteLLM_UserTable",
    "budgets": "LiteLLM_BudgetTable",
    "models": "LiteLLM_ProxyModelTable",
    "credentials": "LiteLLM_CredentialsTable",
    "config": "LiteLLM_Config",
}
ROWS_MAX = 1_000_000
Rows = dict[str, list[dict[str, Any]]]


def read(url: str) -> Rows:
    """Return the rows of each table by our names. Raises UserError, which never shows the URL's password."""
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=1, max_overflow=0)
    except (NoSuchModuleError, ModuleNotFoundError):
        hint = ".venv/bin/pip install --require-hashes -r requirements/litellm.txt"
        raise UserError("the driver for this database is not installed", hint, 2) from None
    except ArgumentError:
        raise UserError("--database is not a URL", "e.g. postgresql://reader@db.internal/litellm", 2) from None
    shown = parsed.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection, warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # types of columns that are not read
            if parsed.get_backend_name() == "postgresql":
                connection = connection.execution_options(  # noqa: PLW2901
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            present = set(inspect(connection).get_table_names())
            if TABLES["keys"] not in present:
                raise UserError(
                    f"{shown} has no table {TABLES['keys']}", "is it LiteLLM's database, and its schema?", 2
                )
            found: Rows = {}
            for name, theirs in TABLES.items():
                if theirs not in present:
                    found[name] = []
                    continue
                table = Table(theirs, MetaData(), autoload_with=connection)
                rows = connection.execute(select(table).limit(ROWS_MAX + 1)).mappings().all()
                if len(rows) > ROWS_MAX:
                    raise UserError(f"{theirs} has more than {ROWS_MAX:,} rows", "", 2)
                found[name] = [dict(row) for row in rows]
            return found
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or exc).strip().splitlines()
        raise UserError(f"{shown} cannot be read: {reason[0] if reason else type(exc).__name__}", "", 1) from None
    finally:
        engine.dispose()
