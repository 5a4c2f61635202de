"""Reading recorded exchanges."""

import json

from switchgear.testing import recordings


def test_a_row_becomes_an_exchange(tmp_path, monkeypatch):
    rows = [
        {
            "id": "1",
            "provider": "p",
            "method": "POST",
            "path": "/v1/messages",
            "request": {"json": {"a": 1}},
            "status": 200,
            "response": {"text": "data: x\n\n"},
        },
        {
            "id": "2",
            "provider": "p",
            "method": "POST",
            "path": "/x",
            "request": {"json": {}},
            "status": 200,
            "response": {"base64": "AAE="},
        },
        {
            "id": "3",
            "provider": "p",
            "method": "GET",
            "path": "/y",
            "request": {},
            "status": 200,
            "response": {"json": {}},
        },
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    monkeypatch.setenv("SWITCHGEAR_RECORDINGS", str(tmp_path))
    found = list(recordings.exchanges())
    assert [exchange.id for exchange in found] == ["1", "2"]
    assert found[0].is_stream and found[1].body == b"\x00\x01" and recordings.dialect_of(found[0].path) == "anthropic"
    monkeypatch.setenv("SWITCHGEAR_RECORDINGS", str(tmp_path / "none"))
    assert list(recordings.exchanges()) == []
