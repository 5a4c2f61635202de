"""Beyond this machine: only with TLS, never the console, and only where processes can be confined."""

import pytest

from switchgear.app import exposure
from switchgear.app.exposure import check_exposure
from switchgear.core.errors import UserError

HOME, WORLD = ("127.0.0.1", 4100), ("0.0.0.0", 4100)


@pytest.fixture
def able(monkeypatch):
    monkeypatch.setattr(exposure.cell, "probe", list)


def test_loopback_needs_no_proof_of_confinement():
    assert check_exposure(HOME, ("::1", 4101), is_encrypted=False) is False


def test_plain_text_beyond_loopback_is_refused():
    with pytest.raises(UserError, match="in the clear"):
        check_exposure(WORLD, HOME, is_encrypted=False)


def test_a_console_beyond_loopback_is_refused_even_with_tls():
    with pytest.raises(UserError, match="the console cannot listen"):
        check_exposure(HOME, WORLD, is_encrypted=True)


def test_encrypted_beyond_loopback_every_process_must_prove_its_confinement(able):
    assert check_exposure(WORLD, HOME, is_encrypted=True) is True


def test_a_machine_that_cannot_confine_stays_on_loopback(monkeypatch):
    monkeypatch.setattr(exposure.cell, "probe", lambda: ["no Landlock"])
    with pytest.raises(UserError, match="no Landlock"):
        check_exposure(WORLD, HOME, is_encrypted=True)
