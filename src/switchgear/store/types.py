"""The type of bounded text. Level 2."""

from sqlalchemy import String
from sqlalchemy.types import TypeEngine


def bounded(length: int) -> TypeEngine[str]:
    """Return a text of at most so many characters that compares by its code points everywhere, as SQLite's do: pages and ranges of
    ids, and Python's own comparisons, rely on that. PostgreSQL would compare by the language of the database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
