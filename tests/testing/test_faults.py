"""The guard of the tests guards, and hides nothing."""

from switchgear.testing.faults import LoudGuard


def test_a_caught_fault_is_kept_and_shown(capsys):
    guard = LoudGuard()
    try:
        {}["x"]
    except KeyError as exc:
        guard.caught(exc, "01ab")
    assert guard.faults == 1 and isinstance(guard.exceptions[0], KeyError)
    assert "KeyError: 'x'" in capsys.readouterr().err
    (text,) = guard.said.texts
    assert text.startswith("fault: KeyError in ") and guard.said[0][1]["request_id"] == "01ab"
