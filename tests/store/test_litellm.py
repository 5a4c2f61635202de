import pytest
from sqlalchemy import ARRAY, JSON, Boolean, Column, DateTime, Float, MetaData, String, Table, create_engine

from switchgear.core.errors import UserError
from switchgear.importers.litellm_rows import database
from switchgear.store import litellm
from switchgear.testing import postgres

needs_postgres = pytest.mark.skipif(
    postgres.binaries() is None, reason="PostgreSQL is not installed: apt-get install postgresql"
)


def schema() -> MetaData:
    """Tables as LiteLLM's schema.prisma makes them, as far as the import reads them."""
    meta = MetaData()
    Table(
        "LiteLLM_VerificationToken", meta, Column("token", String, primary_key=True), Column("key_alias", String), Column("spend", Float),
        Column("expires", DateTime), Column("models", ARRAY(String)), Column("team_id", String), Column("user_id", String),
        Column("metadata", JSON), Column("blocked", Boolean), Column("max_budget", Float), Column("budget_duration", String),
    )  # fmt: skip
    Table(
        "LiteLLM_TeamTable",
        meta,
        Column("team_id", String, primary_key=True),
        Column("team_alias", String),
        Column("models", ARRAY(String)),
        Column("spend", Float),
    )
    Table(
        "LiteLLM_ProxyModelTable",
        meta,
        Column("model_id", String, primary_key=True),
        Column("model_name", String),
        Column("litellm_params", JSON),
        Column("model_info", JSON),
    )
    return meta


def fill(url: str, **rows) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    meta = schema()
    meta.create_all(engine)
    with engine.begin() as connection:
        for name, values in rows.items():
            if values:
                connection.execute(meta.tables[litellm.TABLES[name]].insert(), values)
    engine.dispose()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = postgres.Postgres(tmp_path_factory.mktemp("pg"))
    yield made
    made.stop()


@needs_postgres
def test_a_real_database_is_read_and_not_changed(server):
    with pytest.raises(UserError, match="has no table LiteLLM_VerificationToken"):
        litellm.read(server.url)
    fill(server.url, keys=[{"token": "a" * 64, "key_alias": "x", "spend": 1.5, "models": ["m"], "metadata": {"tags": ["t"]}, "max_budget": 3.0}],
         teams=[{"team_id": "t", "models": []}], models=[{"model_id": "1", "model_name": "m", "litellm_params": {"model": "openai/m"}}])  # fmt: skip
    rows = litellm.read(server.url)
    assert set(rows) == set(litellm.TABLES) and rows["users"] == []
    found = database(rows)
    assert found.keys[0].models == ["m"] and found.keys[0].rest == {"max_budget": 3.0}
    assert found.models[0]["litellm_params"] == {"model": "openai/m"}
    assert litellm.read(server.url) == rows


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "not a URL"),
        ("postgresql://u:hunter2@127.0.0.1:1/x", "cannot be read"),
        ("nosuchdb://x/y", "driver"),
    ],
)
def test_a_database_that_cannot_be_read_is_named_without_its_password(url, said):
    with pytest.raises(UserError, match=said) as caught:
        litellm.read(url)
    assert "hunter2" not in str(caught.value)
