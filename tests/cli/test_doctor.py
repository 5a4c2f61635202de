"""The doctor's checks, each against something that is wrong and something that is not."""

from switchgear.app.layout import Layout
from switchgear.cli import doctor


def ids(findings):
    return [finding.id for finding in findings]


def held(uid, *missing):
    return {"uid": uid, "landlock": 7, "seccomp": True, "missing": list(missing)}


def test_P1_what_a_process_cannot_hold_is_said(monkeypatch):
    monkeypatch.setattr(doctor.cell, "probe", lambda: ())
    assert ids(doctor.confinement({"confinement": {"vault": held(1), "control": held(2)}})) == []
    assert ids(doctor.confinement({"confinement": {"vault": held(1, "x"), "control": held(2)}})) == ["cell-vault"]
    assert ids(doctor.confinement({"confinement": {"vault": held(1), "control": held(1)}})) == ["one-user"]
    assert ids(doctor.confinement({"confinement": {"vault": None}})) == ["cell-vault"]
    monkeypatch.setattr(doctor.cell, "probe", lambda: ("no Landlock",))
    assert ids(doctor.confinement({})) == ["kernel-0"]


def test_C5_the_keks_place_and_mode(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.make()
    kek = tmp_path / "kek"
    kek.write_text("x")
    for mode, found in ((0o600, []), (0o640, ["kek-group"]), (0o604, ["kek-open"])):
        kek.chmod(mode)
        assert ids(doctor.key_encryption_key(layout, str(kek))) == found
    inside = layout.data / "kek"
    inside.write_text("x")
    inside.chmod(0o600)
    assert ids(doctor.key_encryption_key(layout, str(inside))) == ["kek-inside"]
    assert ids(doctor.key_encryption_key(layout, str(tmp_path / "none"))) == ["kek-unreadable"]
    assert ids(doctor.key_encryption_key(layout, "")) == []


def test_open_files_are_found(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.make()
    (layout.vault / "box").write_text("x")
    (layout.vault / "box").chmod(0o644)
    assert ids(doctor.files(layout)) == []  # the folder is closed
    layout.vault.chmod(0o711)
    assert ids(doctor.files(layout)) == ["file-open"]
    layout.vault.chmod(0o703)
    assert "folder-open" in ids(doctor.files(layout))


def test_the_gateways_own_problems_are_findings():
    assert ids(doctor.state({"state": "degraded", "problems": ["a", "b"]})) == ["problem-0", "problem-1"]
    assert ids(doctor.state({"state": "stopped"})) == ["stopped"]
