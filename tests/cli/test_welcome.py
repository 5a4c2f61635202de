from pathlib import Path

from switchgear.cli import welcome


def test_commands_name_the_folder_unless_it_is_the_default_where_they_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "switchgear-data"
    here.mkdir()
    assert "--data" not in welcome._program(here)("log tail")
    assert welcome._program(Path("/var/lib/switchgear"))("log tail").endswith("log tail --data /var/lib/switchgear")
    other = tmp_path / "an other"
    assert welcome._program(other)("admin link").endswith("admin link --data './an other'")
    here.rmdir()
    assert "--data" not in welcome._program(Path("/var/lib/switchgear"))("log tail")


def test_a_demo_key_is_mentioned_where_there_is_one(tmp_path):
    (tmp_path / "run").mkdir()
    (line,) = welcome._to_file(tmp_path, ["x"], "is")
    assert "demo key" not in line and (tmp_path / "run" / "welcome").stat().st_mode & 0o777 == 0o600


def test_the_welcome_says_who_is_to_be_stopped_and_that_a_closed_terminal_does_not():
    assert "kill 4711" in welcome.stopping(4711) and "leaves it running" in welcome.stopping(4711)


class FakeClient:
    """Answers as a gateway that has some keys."""

    def __init__(self, *keys):
        self.keys, self.asked = keys, []

    def call(self, method, path, body=None):
        self.asked.append((method, path))
        return {"keys": list(self.keys)} if method == "GET" else {"key": "sk-sg-x", "body": body}


def known(**fields):
    return {"name": "demo", "revoked_ms": None, "source": "store", "models": ["demo/*"], **fields}


def test_a_second_start_uses_the_demo_key_again():
    client = FakeClient(known())
    assert welcome._demo_key(client) == "sk-sg-x"
    assert client.asked[1:] == [("PATCH", "/keys/demo"), ("POST", "/keys/demo/rotate")]


def test_a_key_of_that_name_that_is_somebodys_own_is_left_alone():
    for other in (known(models=None), known(source="file"), known(revoked_ms=1)):
        client = FakeClient(other)
        welcome._demo_key(client)
        assert client.asked[1:] == [("POST", "/keys")]
