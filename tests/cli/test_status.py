import datetime
import json
import os

from switchgear.app.data_folder import take_lock
from switchgear.app.layout import Layout
from switchgear.cli import status
from switchgear.cli.client import Client
from switchgear.cli.output import Output

ANSWER = {
    "state": "ready", "version": "0.1.0", "data_url": "http://127.0.0.1:4100", "console_url": "http://127.0.0.1:4101",
    "pids": {"supervisor": 1, "vault": [2], "control": None, "edge": [3, 4]}, "freezes": {"team:research": 1_795_715_419_000, "all": None}, "problems": ["x"],
}  # fmt: skip


def test_people_read_times_and_no_internals(tmp_path, capsys):
    status._show(Client(tmp_path, None), Output("table", datetime.UTC), ANSWER)
    text = capsys.readouterr().out
    assert (
        "Frozen   team:research until 2026-11-26 17:50:19 +00:00" in text
        and "None" not in text
        and str(tmp_path) in text
    )


def test_a_deployment_that_fails_is_named_with_its_last_good_answer(tmp_path, capsys):
    failing = {"failures_in_row": 7, "last_failure": "rate_limit", "last_failure_ms": 1_795_715_419_000}
    answer = ANSWER | {
        "failing": {
            "openai/gpt-4o@main": failing | {"last_success_ms": 1_795_715_419_000},
            "groq/x@main": failing | {"last_success_ms": None},
        }
    }
    status._show(Client(tmp_path, None), Output("table", datetime.UTC), answer)
    text = capsys.readouterr().out
    assert (
        "openai/gpt-4o@main: 7 attempts in a row, last rate_limit; last good answer 2026-11-26 17:50:19 +00:00" in text
    )
    assert "groq/x@main: 7 attempts in a row, last rate_limit; last good answer never" in text


def test_of_a_server_no_folder_of_this_machine_is_shown(tmp_path, capsys):
    status._show(Client(tmp_path, "http://127.0.0.1:4101"), Output("table"), ANSWER)
    text = capsys.readouterr().out
    assert "server http://127.0.0.1:4101" in text and str(tmp_path) not in text


def test_without_control_the_supervisors_own_file_tells(tmp_path):
    layout = Layout(tmp_path)
    client = Client(tmp_path, None)
    assert status.offline(client)["state"] == "stopped"
    layout.make()
    fd = take_lock(layout.lock)
    try:
        assert status.offline(client)["state"] == "starting"
        layout.status.write_text(json.dumps({"state": "ready", "problems": ["a"]}))
        found = status.offline(client, "control did not answer within 4 s")
        assert found["state"] == "degraded" and found["problems"] == ["a", "control did not answer within 4 s"]
    finally:
        os.close(fd)
    assert status.offline(client)["state"] == "stopped"
