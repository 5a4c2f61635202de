"""Level 2: the only SQL: SQLAlchemy Core tables, Alembic migrations, one writer."""
