"""The data folder at a start: made for this user alone, held once, its pepper kept."""

import os
import stat

import pytest

from switchgear.app.data_folder import make_folder, make_pepper, make_row_key, own_config, take_lock
from switchgear.app.layout import ROW_KEY_BYTES, Layout, read_peppers, read_row_key
from switchgear.core.errors import UserError


def test_the_folder_has_one_holder(tmp_path):
    first = take_lock(tmp_path / "lock")
    assert take_lock(tmp_path / "lock") is None
    os.close(first)
    second = take_lock(tmp_path / "lock")
    assert second is not None
    os.close(second)


def test_a_new_data_folder_holds_every_folder_of_the_layout(tmp_path):
    layout = Layout(tmp_path / "data")
    make_folder(layout, 2)
    assert all(folder.is_dir() for folder in layout.folders(2))
    if os.geteuid() != 0:
        assert stat.S_IMODE(layout.data.stat().st_mode) == 0o700


def test_before_its_lock_is_held_a_data_folder_gets_nothing_below_it(tmp_path):
    layout = Layout(tmp_path / "a" / "data")
    make_folder(layout)
    assert layout.data.is_dir() and list(layout.data.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match="cannot be used") as caught:
        make_folder(Layout(tmp_path / "data"), 1)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_refused(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.data.mkdir()
    os.chown(layout.data, 12345, 12345)
    with pytest.raises(UserError, match="belongs to uid 12345"):
        make_folder(layout, 1)


def test_a_configuration_is_taken_from_the_folder_where_one_lies(tmp_path):
    layout = Layout(tmp_path)
    assert own_config(layout) is None
    (tmp_path / "switchgear.yaml").mkdir()
    assert own_config(layout) is None
    (tmp_path / "switchgear.yaml").rmdir()
    (tmp_path / "switchgear.yaml").write_text("")
    assert own_config(layout) == tmp_path / "switchgear.yaml"


def test_a_pepper_is_made_once_and_readable_by_its_owner_only(tmp_path):
    layout = Layout(tmp_path)
    make_pepper(layout)
    first = read_peppers(layout.pepper)
    make_pepper(layout)
    assert read_peppers(layout.pepper) == first
    assert stat.S_IMODE(layout.pepper.stat().st_mode) == 0o600
    assert [len(value) for value in first.values()] == [32]


def test_a_damaged_pepper_is_refused_and_never_replaced(tmp_path):
    layout = Layout(tmp_path)
    layout.pepper.write_text("nonsense")
    with pytest.raises(UserError, match="damaged"):
        make_pepper(layout)
    assert layout.pepper.read_text() == "nonsense"


def test_S5_the_key_of_rows_is_made_once_and_closed_to_others(tmp_path):
    layout = Layout(tmp_path)
    make_row_key(layout)
    first = read_row_key(layout.row_key)
    make_row_key(layout)
    assert read_row_key(layout.row_key) == first and len(first) == ROW_KEY_BYTES
    assert stat.S_IMODE(layout.row_key.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "nonsense", "ab" * 31])
def test_a_damaged_key_of_rows_is_refused_and_never_replaced(tmp_path, content):
    layout = Layout(tmp_path)
    layout.row_key.write_text(content)
    with pytest.raises(UserError, match="damaged"):
        make_row_key(layout)
    assert layout.row_key.read_text() == content
