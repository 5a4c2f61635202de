"""What `serve` seals for the courier opens with the courier's key, in its place, and with no other."""

import stat

import pytest

from switchgear.app import outward
from switchgear.config.outward import DestinationSpec
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.courier.destinations import Destinations
from switchgear.providers import endpoint
from switchgear.vault import kek
from switchgear.vault.kek import KeyPair

SPEC = DestinationSpec(name="hook", purpose="request", endpoint=endpoint.parse("https://hook.example", auth="bearer"))


def test_the_key_is_made_once_and_opens_what_is_sealed(tmp_path):
    path = tmp_path / "courier.key"
    (one,) = outward.sealed((SPEC,), {"hook": Secret(b"secret-of-the-hook")}, path, 7)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = path.read_bytes()
    again = outward.sealed((SPEC,), {}, path, 8)
    assert path.read_bytes() == made and len(again) == 1
    keys = KeyPair(kek.read(path, kek.COURIER))
    assert Destinations([one], keys).find("hook", "request").endpoint == SPEC.endpoint
    assert b"secret-of-the-hook" not in one.blob
    assert Destinations([one], KeyPair(Secret(b"k" * 32))).unopened == ["hook"]


def test_a_key_that_others_can_read_is_refused_by_its_name(tmp_path):
    path = tmp_path / "courier.key"
    outward.sealed((SPEC,), {}, path, 7)
    path.chmod(0o644)
    with pytest.raises(UserError, match="the courier's key file"):
        outward.sealed((SPEC,), {}, path, 8)


def test_the_key_lies_beside_the_kek(tmp_path):
    assert outward.key_path(tmp_path / "kek", {}) == tmp_path / "courier.key"
    assert outward.key_path(None, {"XDG_CONFIG_HOME": str(tmp_path)}).name == "courier.key"
