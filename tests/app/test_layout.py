"""Where things lie."""

import os

import pytest

from switchgear.app import layout
from switchgear.app.layout import Layout
from switchgear.core.errors import UserError


def test_folders_are_made_for_this_user_alone(tmp_path):
    made = Layout(tmp_path / "data")
    made.make()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made.data, made.vault, made.spool, made.run, made.replica))


def test_C5_the_kek_lies_outside_the_data_folder():
    path = layout.default_kek_path({"HOME": "/home/x"})
    assert path == (
        layout.Path("/etc/switchgear/kek") if os.geteuid() == 0 else layout.Path("/home/x/.config/switchgear/kek")
    )


def test_peppers_are_read_by_number(tmp_path):
    (tmp_path / "p").write_text("1 00ff\n2 aa\n")
    assert layout.read_peppers(tmp_path / "p") == {1: b"\x00\xff", 2: b"\xaa"}


@pytest.mark.parametrize("content", ["", "garbage", "1 zz\n", "1 \n", "x 00\n"])
def test_a_damaged_pepper_is_said_with_what_to_do(tmp_path, content):
    (tmp_path / "p").write_text(content)
    with pytest.raises(UserError, match="damaged") as info:
        layout.read_peppers(tmp_path / "p")
    assert "backup" in info.value.hint and info.value.exit_code == 2


def test_the_package_ships_the_price_files_of_its_providers():
    assert layout.PriceFiles().load("openai") is not None
    assert layout.PriceFiles().load("nobody") is None
    assert len(layout.price_snapshot()) == 10
