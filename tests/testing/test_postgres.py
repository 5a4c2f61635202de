import pytest
from sqlalchemy import create_engine, inspect

from switchgear.testing import postgres


@pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL is not installed: apt-get install postgresql")
def test_a_real_server_starts_and_stops(tmp_path):
    server = postgres.Postgres(tmp_path)
    engine = create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    server.stop()
    assert server._process.returncode == 0
