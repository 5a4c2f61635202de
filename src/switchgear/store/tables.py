"""The tables. Level 2. A change here needs a migration: a test compares both.

A table whose rows control acts on has a column `mac` (store/macs): a new one needs its MAC in store/objects and a part of
store/signing, and a test asks for both.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from switchgear.store.sums import SUMS
from switchgear.store.types import bounded

metadata = MetaData()

meta = Table("meta", metadata, Column("name", bounded(64), primary_key=True), Column("value", Text, nullable=False))

objects = Table(
    "objects",
    metadata,
    Column("kind", bounded(32), primary_key=True),
    Column("name", bounded(256), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("mac", LargeBinary(32)),
)

keys = Table(
    "keys",
    metadata,
    Column("id", bounded(32), primary_key=True),
    Column("name", bounded(64), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("source", bounded(8), nullable=False),
    Column("policy", LargeBinary, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("mac", LargeBinary(32)),
)

key_secrets = Table(
    "key_secrets",
    metadata,
    Column("key_id", bounded(32), primary_key=True),
    Column("mac", LargeBinary(32), primary_key=True),
    Column("pepper_id", Integer, nullable=False),
    Column("not_after_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
)

holders = Table(
    "holders",
    metadata,
    Column("kind", bounded(16), primary_key=True),
    Column("id", bounded(64), primary_key=True),
    Column("name", bounded(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("source", bounded(8), nullable=False),
    Column("policy", LargeBinary, nullable=False),
    Column("removed_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("mac", LargeBinary(32)),
    Index("holders_name", "kind", "name"),
)
"""Teams, users, projects and profiles."""

freezes = Table(
    "freezes",
    metadata,
    Column("subject", bounded(320), primary_key=True),
    Column("until_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("actor", bounded(128), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("is_lifted", Boolean, nullable=False),
    Column("mac", LargeBinary(32)),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("name", bounded(64), nullable=False),
    Column("kind", bounded(16), nullable=False),
    Column("role", bounded(32), nullable=False),
    Column("expires_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("mac", LargeBinary(32)),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("actor", bounded(128), nullable=False),
    Column("action", bounded(64), nullable=False),
    Column("subject", bounded(320), nullable=False),
    Column("detail", LargeBinary, nullable=False),
)

spools = Table(
    "spools",
    metadata,
    Column("spool_id", bounded(32), primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("id", bounded(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", bounded(40), primary_key=True),
    Column("key_id", bounded(32)),
    Column("key_name", bounded(64)),
    Column("team", bounded(64)),
    Column("user_name", bounded(64)),
    Column("project", bounded(64)),
    Column("model", bounded(256)),
    Column("provider", bounded(64)),
    Column("status", Integer, nullable=False),
    Column("outcome", bounded(16), nullable=False),
    Column("cost_nanousd", BigInteger),
    Column("latency_ms", Integer),
    Column("record", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

DIMENSIONS = (
    "hour",
    "key_id",
    "key_name",
    "team",
    "user_name",
    "project",
    "model",
    "upstream_model",
    "provider",
    "credential_id",
)

usage = Table(
    "usage",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    *(Column(name, bounded(256), primary_key=True) for name in DIMENSIONS[1:]),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
    sqlite_with_rowid=False,
)

tried = Table(
    "tried",
    metadata,
    Column("provider", bounded(64), primary_key=True),
    Column("request_id", bounded(40), primary_key=True),
    sqlite_with_rowid=False,
)
"""Requests with an attempt at a provider that is not their last one."""

rollups = Table(
    "rollups",
    metadata,
    Column("level", bounded(8), primary_key=True),
    Column("start", Integer, primary_key=True, autoincrement=False),
    *(Column(name, bounded(256), primary_key=True) for name in DIMENSIONS[1:]),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
    sqlite_with_rowid=False,
)
"""Sums of days and blocks of days (store/rollups): `start` is their first hour."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("spool_id", bounded(32), primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("reason", bounded(512), primary_key=True),
    Column("is_open", Boolean, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)

settled = Table(
    "settled",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("request_id", bounded(40), nullable=False),
)
"""The outbox (store/outbox): in which order records came into the ledger."""

cursors = Table(
    "cursors",
    metadata,
    Column("name", bounded(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("moved_ms", BigInteger, nullable=False),
    Column("owner", bounded(128)),
)
"""How far each consumer of the outbox is."""

deployments = Table(
    "deployments",
    metadata,
    Column("name", bounded(512), primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)
"""What is counted of each deployment (ledger/deployments)."""

balances = Table(
    "balances",
    metadata,
    Column("budget", bounded(1_024), primary_key=True),
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("settled", BigInteger, nullable=False),
    Column("corrected", BigInteger, nullable=False),
    Column("unit", bounded(16), nullable=False),
    Column("ends_ms", BigInteger),
    Column("width_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What each budget's settled requests came to, by period (store/balance_rows)."""

thresholds = Table(
    "thresholds",
    metadata,
    Column("budget", bounded(1_024), primary_key=True),
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("percent", Integer, primary_key=True, autoincrement=False),
    Column("passed_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Which shares of budgets were passed in which period: each once."""
