"""The doctor's checks, each against something that is wrong and something that is not."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from switchgear.app.layout import Layout
from switchgear.cli import doctor
from switchgear.core.errors import UserError


def ids(findings):
    return [finding.id for finding in findings]


def held(uid, *missing):
    return {"uid": uid, "landlock": 7, "seccomp": True, "missing": list(missing)}


def test_P1_a_process_without_its_confinement_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor.cell, "probe", lambda: ())
    assert ids(doctor.confinement({"confinement": {"vault": held(1), "control": held(2)}})) == []
    assert ids(doctor.confinement({"confinement": {"vault": held(1, "x"), "control": held(2)}})) == ["cell-vault"]
    assert ids(doctor.confinement({"confinement": {"vault": held(1), "control": held(1)}})) == ["one-user"]
    assert ids(doctor.confinement({"confinement": {"vault": None}})) == ["cell-vault"]
    monkeypatch.setattr(doctor.cell, "probe", lambda: ("no Landlock",))
    assert ids(doctor.kernel()) == ["kernel-0"] and ids(doctor.confinement({})) == []


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
    assert ids(doctor.files(layout)) == [f"file-open-{layout.vault / 'box'}"]
    layout.vault.chmod(0o703)
    assert f"folder-open-{layout.vault}" in ids(doctor.files(layout))


def test_the_gateways_own_problems_are_findings():
    assert ids(doctor.state({"state": "degraded", "problems": ["a", "b"]})) == ["problem-0", "problem-1"]
    assert ids(doctor.state({"state": "stopped"})) == ["stopped"]


def test_a_data_port_beyond_loopback_is_a_finding():
    def found(data, console="http://127.0.0.1:4101"):
        return ids(doctor.exposure({"data_url": data, "console_url": console}))

    assert found("http://127.0.0.1:4100") == [] == found("http://[::1]:4100") == ids(doctor.exposure({}))
    assert found("https://10.0.0.1:4100") == ["data-exposed"]
    assert found("http://10.0.0.1:4100") == ["data-exposed", "data-plain"]
    assert found("http://127.0.0.1:4100", "http://10.0.0.1:4101") == ["console-exposed"]


def test_a_file_that_others_can_read_is_closed_by_fix(tmp_path, capsys):
    layout = Layout(tmp_path / "data")
    layout.make()
    box = layout.vault / "box"
    box.write_text("x")
    box.chmod(0o664)
    layout.vault.chmod(0o703)
    left = doctor.mend(layout, [*doctor.files(layout), *doctor.state({"state": "stopped"})])
    assert ids(left) == ["stopped"] and list(doctor.files(layout)) == []
    assert box.stat().st_mode & 0o777 == 0o660
    assert "mended" in capsys.readouterr().err


def test_fix_follows_no_symbolic_link(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.make()
    (tmp_path / "outside").mkdir(mode=0o777)
    (tmp_path / "outside/file").write_text("x")
    (tmp_path / "outside/file").chmod(0o666)
    (layout.vault / "link").symlink_to(tmp_path / "outside/file")
    (layout.vault / "folder").symlink_to(tmp_path / "outside")
    for path in (layout.vault / "link", layout.vault / "folder/file", tmp_path / "outside/file"):
        found = doctor.finding("file-open", "high", "t", str(path), "f")
        assert doctor.mend(layout, [found]) == [found]
    kek = doctor.finding("kek-open", "critical", "t", str(tmp_path / "outside/file"), "f")
    assert doctor.mend(layout, [kek]) == [kek]
    assert (tmp_path / "outside/file").stat().st_mode & 0o777 == 0o666


# advisory files that operators bring

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def feed(sequence, **more):
    affected = [
        {
            "package": {"ecosystem": "PyPI", "name": "click"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ]
    rows = [{"id": "CVE-X", "summary": "bad", "affected": affected, "database_specific": {"severity": "critical"}}]
    return {
        "schema": "switchgear-advisories/1",
        "sequence": sequence,
        "as_of": "2026-11-01",
        "expires": "2099-01-01",
        "advisories": rows,
        **more,
    }


def sign(folder, payload, key=KEY):
    raw = json.dumps(payload).encode()
    (folder / "feed.json").write_text(
        json.dumps({"payload": base64.b64encode(raw).decode(), "signature": base64.b64encode(key.sign(raw)).decode()})
    )
    (folder / "trust").write_text(f"# the publisher\n{PUBLIC}\n")
    return folder / "feed.json", folder / "trust"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_newer_feed_finds_more(tmp_path, home):
    found = list(doctor.vulnerable(doctor.integrity.installed(), doctor.bring_advisories(*sign(tmp_path, feed(3)))))
    assert [f.rule for f in found] == ["dependency-vulnerable"] and "CVE-X" in found[0].title


def test_an_older_feed_a_foreign_one_and_one_without_trust_are_refused(tmp_path, home):
    doctor.bring_advisories(*sign(tmp_path, feed(3)))
    doctor.bring_advisories(*sign(tmp_path, feed(3)))
    with pytest.raises(UserError, match="older than 3"):
        doctor.bring_advisories(*sign(tmp_path, feed(2)))
    with pytest.raises(UserError, match="no trusted key"):
        doctor.bring_advisories(*sign(tmp_path, feed(4), Ed25519PrivateKey.generate()))
    with pytest.raises(UserError, match="expired"):
        doctor.bring_advisories(*sign(tmp_path, feed(4, expires="2020-01-01")))
    file, trust = sign(tmp_path, feed(4))
    with pytest.raises(UserError, match="--trust"):
        doctor.bring_advisories(file, None)
    trust.write_text("nonsense")
    with pytest.raises(UserError, match="--trust"):
        doctor.bring_advisories(file, trust)
