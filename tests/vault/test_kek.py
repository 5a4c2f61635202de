"""The KEK file: made once, refused when others can read it."""

import os
import shlex

import pytest

from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import kek


def test_C5_a_kek_is_made_once_with_mode_0600(tmp_path):
    path = tmp_path / "deep" / "kek"
    kek.create(path, os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        kek.create(path, os.urandom)
    assert len(kek.read(path).reveal()) == 32


def test_C5_a_link_is_followed(tmp_path):
    kek.create(tmp_path / "real", os.urandom)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert kek.read(tmp_path / "link").reveal() == kek.read(tmp_path / "real").reveal()


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_C5_a_readable_one_is_refused_with_the_command_that_helps(tmp_path, mode):
    kek.create(tmp_path / "kek", os.urandom)
    (tmp_path / "kek").chmod(mode)
    with pytest.raises(UserError) as info:
        kek.read(tmp_path / "kek")
    assert "chmod 600" in info.value.hint
    assert info.value.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"short", b"zz" * 32, b"00" * 31])
def test_C5_a_malformed_kek_is_refused(tmp_path, content):
    (tmp_path / "kek").write_bytes(content)
    (tmp_path / "kek").chmod(0o600)
    with pytest.raises(UserError):
        kek.read(tmp_path / "kek")


def test_C5_a_kek_that_is_no_plain_file_is_refused_without_a_harmful_hint(tmp_path):
    with pytest.raises(UserError, match="not a plain file") as info:
        kek.read(tmp_path)
    assert "chmod" not in info.value.hint


def test_C5_a_place_where_none_can_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made") as info:
        kek.create(tmp_path / "file" / "kek", os.urandom)
    assert "--kek-file" in info.value.hint


def test_C5_the_command_that_helps_can_be_pasted(tmp_path):
    path = tmp_path / "it's a (place)"
    kek.create(path, os.urandom)
    path.chmod(0o644)
    with pytest.raises(UserError) as info:
        kek.read(path)
    assert shlex.split(info.value.hint)[-1] == str(path)


def test_C5_a_missing_one_is_said(tmp_path):
    with pytest.raises(UserError) as info:
        kek.read(tmp_path / "nope")
    assert "missing" in str(info.value)


def test_the_public_key_names_its_kek():
    one, two = kek.KeyPair(Secret(b"a" * 32)), kek.KeyPair(Secret(b"b" * 32))
    assert one.public.kek_id != two.public.kek_id
    assert kek.PublicKey(one.public.raw).kek_id == one.public.kek_id
    with pytest.raises(UserError):
        kek.PublicKey(b"short")
