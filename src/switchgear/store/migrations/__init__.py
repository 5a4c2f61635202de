"""Alembic's environment. Level 2."""
