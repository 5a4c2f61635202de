import json
import os
import stat
from typing import ClassVar

import pytest
from tests.discover.test_collector import finding
from tests.discover.test_report import made as make_report

from switchgear.cli import discovery
from switchgear.cli.client import Client
from switchgear.control.server import BODY_BYTES_MAX
from switchgear.core.errors import UserError


def test_the_key_of_hashes_is_made_once_and_closed(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    key = discovery.fingerprint_key(environ)
    assert len(key) == 32 and discovery.fingerprint_key(environ) == key
    path = tmp_path / "switchgear" / "discovery.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"short")
    with pytest.raises(UserError, match="32 bytes"):
        discovery.fingerprint_key(environ)


def test_urls_of_this_gateway_without_one_that_runs(tmp_path):
    known = discovery.Known(Client(tmp_path, None), ("https://ai.acme.internal", "127.0.0.1:4100"))
    assert not known.running
    assert known.origins == {("ai.acme.internal", None), ("127.0.0.1", 4100), ("localhost", 4100)}
    with pytest.raises(UserError, match="no gateway runs"):
        discovery.Known(Client(tmp_path, None), (), must=True)
    with pytest.raises(UserError, match="not a URL"):
        discovery.Known(Client(tmp_path, None), ("://",))


def test_one_line_for_a_file_that_names_many_providers():
    found = [finding(f"e{n}", kind="endpoint", where=f"a.py:{n}", provider=f"p{n}") for n in range(10)]
    other = finding("k", where="a.py:3")
    shown = discovery._grouped([*found, other])
    assert [f.id for f in shown] == ["e0", "k"] and "10 providers" in shown[0].title and "and 2 more" in shown[0].title


@pytest.mark.parametrize("text", ["x", "1,,2", ""])
def test_ports_that_are_none(text):
    with pytest.raises(UserError, match="--ports"):
        discovery._ports(text)
    assert discovery._ports("1,2") == [1, 2] and discovery._ports(None) is None


def test_a_client_that_is_no_address():
    with pytest.raises(UserError, match="--own-client"):
        discovery._check_address("gateway.internal")


def test_the_key_cannot_be_made_where_nobody_may_write(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises((UserError, OSError)):
        discovery.fingerprint_key({"XDG_CONFIG_HOME": str(blocked)})
    assert os.listdir(tmp_path) == ["file"]


def test_a_large_run_is_stored_in_parts_and_only_the_last_says_what_is_gone():
    class Fake:
        bodies: ClassVar[list] = []

        def call(self, method, path, body):
            self.bodies.append(body)
            return {"new": len(body["findings"]), "seen": 0, "fixed": 0}

    made = make_report(*(finding(f"f{n}") for n in range(2_500)))
    discovery._record(Fake(), made, "x")
    assert [len(b["findings"]) for b in Fake.bodies] == [1_000, 1_000, 500]
    assert [b["partial"] for b in Fake.bodies] == [True, True, False]
    assert len(Fake.bodies[-1]["also_seen"]) == 2_000 and not Fake.bodies[0]["also_seen"]
    assert max(len(json.dumps(b)) for b in Fake.bodies) < BODY_BYTES_MAX
