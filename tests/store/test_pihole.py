import pytest
from sqlalchemy import URL, create_engine

from switchgear.store import pihole


def make(path, rows):
    engine = create_engine(URL.create("sqlite", database=str(path)))
    pihole._QUERIES.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(pihole._QUERIES.insert(), rows)
    engine.dispose()


def test_queries_are_read_and_nothing_is_written(tmp_path):
    path = tmp_path / "pihole FTL%41.db"
    make(
        path,
        [
            {"timestamp": 1.5, "domain": "api.openai.com", "client": "10.0.0.5"},
            {"timestamp": None, "domain": None, "client": "x"},
        ],
    )
    before = path.read_bytes()
    assert list(pihole.queries(path)) == [(1.5, "api.openai.com", "10.0.0.5")]
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0" + b"x" * 100])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "x.db").write_bytes(data)
    with pytest.raises(OSError, match="not a Pi-hole database"):
        list(pihole.queries(tmp_path / "x.db"))
