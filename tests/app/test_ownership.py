"""Who owns what: one table, given out without following anything that a lesser user could have planted."""

import os
import re
from pathlib import Path

import pytest

from switchgear.app import ownership
from switchgear.app.layout import Layout
from switchgear.core.errors import UserError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def test_P2_no_two_processes_share_a_user():
    who = ownership.ProcessUsers(50_000)
    persons = [who.vault, who.control, who.demo, who.courier, *(who.edge(n) for n in range(ownership.WORKERS_MAX))]
    assert len({user.uid for user in persons}) == len(persons)
    assert who.gates not in {user.gid for user in persons}
    assert who.gates not in who.vault.groups, "the vault reads neither the pepper's users' files nor their replica"
    assert who.courier.groups == [] and who.of("courier", 0) == who.courier
    assert who.of("edge", 3) == who.edge(3) and who.of("vault", 0) == who.vault
    assert who.peers(2) == {"edge": [who.edge(0).uid, who.edge(1).uid], "control": [who.control.uid]}


def test_without_root_there_is_one_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ownership.process_users({}) is None


def test_ids_that_accounts_have_are_refused(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ownership.process_users({}).base == ownership.UID_BASE
    for text in ("root", "5", "-1"):
        with pytest.raises(UserError, match="above 1000"):
            ownership.process_users({"SWITCHGEAR_UID_BASE": text})
    account = ownership.pwd.getpwall()[0]
    monkeypatch.setattr(ownership.pwd, "getpwall", lambda: [_with_uid(account, 2003)])
    with pytest.raises(UserError, match="has one of the user ids"):
        ownership.process_users({"SWITCHGEAR_UID_BASE": "2000"})


def _with_uid(entry, uid):
    return type(entry)((*entry[:2], uid, *entry[3:]))


@needs_root
def test_P2_planted_links_are_left_alone(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.make(1)
    victim = tmp_path / "victim"
    victim.write_text("x")
    spool = layout.edge_spool(0)
    (spool / "symlink").symlink_to(victim)
    os.link(victim, spool / "hardlink")
    (spool / "00000001.seg").write_text("x")
    ownership.give(ownership.table(layout, ownership.ProcessUsers(59_100), 1))
    assert victim.stat().st_uid == 0
    assert (spool / "00000001.seg").stat().st_uid == 59_100 + ownership.EDGES_FROM
    for folder in (layout.vault, layout.control_run):
        folder.rmdir()
    layout.vault.symlink_to(tmp_path)
    with pytest.raises(OSError):
        ownership.give(ownership.table(layout, ownership.ProcessUsers(59_100), 1))


@needs_root
def test_files_of_a_time_when_all_were_one_user_are_opened_to_the_folders_group(tmp_path):
    layout = Layout(tmp_path / "data")
    layout.make(1)
    places = {layout.edge_spool(0) / "id": 0o660, layout.replica / "data.mdb": 0o640, layout.vault / "box": 0o600}
    for path in places:
        path.touch(0o600)
    for _ in range(2):
        ownership.give(ownership.table(layout, ownership.ProcessUsers(59_100), 1))
        assert {path: path.stat().st_mode & 0o777 for path in places} == places


def test_a_folder_below_a_closed_one_is_not_reachable(tmp_path):
    open_folder = tmp_path / "open" / "x"
    open_folder.mkdir(parents=True)
    (tmp_path / "open").chmod(0o700)
    assert not ownership.is_reachable(open_folder)
    assert ownership.is_reachable(Path("/usr/lib"))


def test_P2_the_documents_show_the_table():
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    rows = ownership.table(Layout(Path("/D")), ownership.ProcessUsers(0), 1)
    names = {0: "root", 1: "control", 3: "courier", 8: "gates", 16: "edge N"}
    for path, uid, gid, mode in rows:
        shown = str(path.relative_to("/D")).replace("edge-0", "edge-N")
        owner = "vault" if uid == 0 and path.name == "vault" else names[uid]
        group = "vault" if gid == 0 and path == Path("/D/vault") else names[gid]
        pattern = rf"\| `{re.escape(shown + '/' if shown != '.' else './')}` \| {owner} \| {group} \| {mode:04o} \|"
        assert re.search(pattern, text), f"docs/architecture.md lacks a row: {pattern}"
