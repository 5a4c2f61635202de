"""What a container's health check says."""

import json
import os

import pytest

from switchgear.app import healthcheck


@pytest.mark.parametrize(
    ("state", "code"),
    [("ready", 0), ("degraded", 0), ("draining", 0), ("starting", 1), ("stopped", 1)],
)
def test_the_health_check_passes_only_while_the_gateway_serves(tmp_path, state, code):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/status.json").write_text(json.dumps({"state": state, "pids": {"supervisor": os.getpid()}}))
    assert healthcheck.main([str(tmp_path)], {}) == code
    assert healthcheck.main([], {"SWITCHGEAR_DATA": str(tmp_path)}) == code


def test_a_status_of_a_supervisor_that_is_gone_is_not_believed(tmp_path):
    (tmp_path / "run").mkdir()
    assert healthcheck.main([str(tmp_path)], {}) == 1
    for text in ("", "[]", '{"state": "ready"}', json.dumps({"state": "ready", "pids": {"supervisor": 2**22 + 1}})):
        (tmp_path / "run/status.json").write_text(text)
        assert healthcheck.main([str(tmp_path)], {}) == 1
