"""A reload runs beside the supervisor, and its outcome is one line of the log."""

from switchgear.app.reload import Reload
from switchgear.testing.patience import until


def test_a_reload_that_fails_leaves_what_is_in_force_and_says_why(tmp_path, capfd):
    reload = Reload(str(tmp_path / "gone.yaml"), str(tmp_path))
    assert reload.again is False
    until(reload.is_over, bool)
    said = capfd.readouterr().err
    assert "the one in force stays" in said
