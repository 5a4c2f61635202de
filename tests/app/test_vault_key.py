"""Where the KEK comes from, and the public key that is made of it by a process of its own."""

import os
import stat

import pytest

from switchgear.app.layout import Layout
from switchgear.app.options import Options
from switchgear.app.vault_key import ensure_public_key, find_kek, show_public_key
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import public_key
from switchgear.vault.kek import KeyPair


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "data")
    made.make(1)
    return made


def test_the_kek_lies_outside_of_the_data_folder_unless_said_otherwise(layout, tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    path, fd = find_kek(Options(), layout, environ)
    assert fd == -1 and not path.is_relative_to(layout.data)
    assert find_kek(Options(kek_file=tmp_path / "k"), layout, environ) == (tmp_path / "k", -1)


def test_a_missing_kek_of_credentials_that_exist_is_never_made_again(layout, tmp_path):
    (layout.vault / "box").write_bytes(b"x")
    with pytest.raises(UserError, match="is missing"):
        find_kek(Options(kek_file=tmp_path / "k"), layout, {})


def test_a_damaged_kek_is_refused(layout, tmp_path):
    (tmp_path / "k").write_text("short")
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(UserError):
        find_kek(Options(kek_file=tmp_path / "k"), layout, {})


def test_a_descriptor_that_is_not_open_is_refused(layout):
    closed = os.open(os.devnull, os.O_RDONLY)
    os.close(closed)
    with pytest.raises(UserError, match="is not open"):
        find_kek(Options(kek_fd=closed), layout, {})
    assert find_kek(Options(kek_fd=0), layout, {}) == (None, 0)


def test_a_credential_of_systemd_needs_its_folder(layout, tmp_path):
    with pytest.raises(UserError, match="systemd"):
        find_kek(Options(kek_credential="kek"), layout, {})
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_kek(Options(kek_credential="kek"), layout, environ) == (tmp_path / "kek", -1)


def test_kek_and_public_key_are_made_once_and_belong_together(layout, tmp_path):
    path = tmp_path / "kek"
    ensure_public_key(layout, path, -1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = layout.public_key.read_bytes()
    ensure_public_key(layout, path, -1)
    assert layout.public_key.read_bytes() == first
    from switchgear.vault import kek

    assert KeyPair(kek.read(path)).public.raw == public_key.read(layout.public_key).raw


def test_a_kek_that_was_replaced_gives_another_public_key(layout, tmp_path):
    path = tmp_path / "kek"
    ensure_public_key(layout, path, -1)
    first = public_key.read(layout.public_key).raw
    path.unlink()
    ensure_public_key(layout, path, -1)
    assert public_key.read(layout.public_key).raw != first


def test_a_vault_that_cannot_be_prepared_says_why(layout, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        ensure_public_key(layout, tmp_path / "file" / "kek", -1)


def test_the_public_key_is_shown_where_control_reads_and_cannot_write(layout):
    public = KeyPair(Secret(os.urandom(32))).public
    show_public_key(layout, public)
    assert layout.shown_key.read_bytes() == public.raw
    assert stat.S_IMODE(layout.shown_key.stat().st_mode) == 0o640
