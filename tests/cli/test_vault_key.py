"""The vault's key of a server: shown and remembered at first, refused when it is another."""

import stat

import pytest

from switchgear.cli import vault_key
from switchgear.cli.client import Client, is_loopback
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import public_key
from switchgear.vault.kek import KeyPair

ONE, OTHER = (KeyPair(Secret(bytes([n]) * 32)).public for n in (1, 2))
URL = "http://127.0.0.1:4101"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SWITCHGEAR_VAULT_KEY", raising=False)
    return tmp_path / "config" / "switchgear" / "known_vaults"


class Server(Client):
    """A server that says what its vault's key is."""

    def __init__(self, public, url=URL):
        super().__init__(None, url)
        self.says = public.raw.hex() if public is not None else "nonsense"

    def call(self, *_, **__):
        return {"public_key": self.says}


def test_the_first_key_is_shown_and_remembered_and_another_is_refused(home, capsys):
    assert vault_key.of(Server(ONE)).raw == ONE.raw
    assert public_key.fingerprint(ONE) in capsys.readouterr().err
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert vault_key.of(Server(ONE)).raw == ONE.raw and capsys.readouterr().err == ""
    with pytest.raises(UserError, match="nothing was sealed"):
        vault_key.of(Server(OTHER))
    assert vault_key.of(Server(OTHER, "http://127.0.0.1:4999")).raw == OTHER.raw  # each server has its own


def test_a_key_that_is_named_is_the_only_one_that_is_trusted(home, monkeypatch):
    assert vault_key.of(Server(ONE), public_key.fingerprint(ONE)).raw == ONE.raw
    for pinned in (public_key.fingerprint(OTHER), "SHA256:x"):
        with pytest.raises(UserError, match="--vault-key"):
            vault_key.of(Server(ONE), pinned)
    monkeypatch.setenv("SWITCHGEAR_VAULT_KEY", public_key.fingerprint(OTHER))
    with pytest.raises(UserError):
        vault_key.of(Server(ONE))
    assert not home.exists()


def test_plain_http_beyond_this_machine_needs_the_fingerprint(home):
    far = Server(ONE, "http://gateway.internal:4101")
    with pytest.raises(UserError, match="plain http"):
        vault_key.of(far)
    assert vault_key.of(far, public_key.fingerprint(ONE)).raw == ONE.raw
    assert vault_key.of(Server(ONE, "https://gateway.internal:4101")).raw == ONE.raw


def test_a_public_key_that_cannot_be_remembered_is_not_trusted(home):
    home.parent.parent.mkdir()
    home.parent.write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"--vault-key|known_vaults"):
        vault_key.of(Server(ONE))


@pytest.mark.parametrize("public", [None])
def test_a_server_that_says_nonsense(public):
    with pytest.raises(UserError, match="does not say"):
        vault_key.of(Server(public))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_names_are_this_machine_and_other_addresses_are_not(host):
    assert is_loopback(host) and not is_loopback("10.0.0.1")
