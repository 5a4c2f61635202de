"""What is said of children: names, process ids, what is wrong with them."""

import os
from types import SimpleNamespace

import msgspec
import pytest

from switchgear.app.children import Child, pids_of, problems_of, status_of
from switchgear.app.state import SupervisorState

STATE = SupervisorState(
    data="/d", workers=2, data_fds=[], console_fds=[], data_url="D", console_url="C", lock_fd=-1, config_path="/c.yaml"
)


def family(is_ready=True):
    children = [Child("vault"), Child("control"), Child("edge", 0), Child("edge", 1)]
    for number, child in enumerate(children):
        child.is_ready, child.process = is_ready, SimpleNamespace(pid=100 + number)
    return children


def told(children, **more):
    return msgspec.json.decode(status_of(STATE, children, "digest", **{"is_welcomed": True, "now_s": 1000.0, **more}))


def test_an_edge_has_a_number_in_its_name():
    assert [child.name for child in family()] == ["vault", "control", "edge-0", "edge-1"]


def test_ids_are_told_by_role_and_of_running_processes_only():
    children = family()
    children[3].process = None
    assert pids_of(children) == {"supervisor": os.getpid(), "vault": [100], "control": 101, "edge": [102]}


@pytest.mark.parametrize(
    ("is_ready", "is_welcomed", "state"),
    [(True, True, "ready"), (False, False, "starting"), (False, True, "degraded"), (True, False, "ready")],
)
def test_the_whole_is_ready_when_every_child_is(is_ready, is_welcomed, state):
    found = told(family(is_ready), is_welcomed=is_welcomed)
    assert (found["state"], bool(found["problems"])) == (state, state == "degraded")
    assert all("started again and is not ready yet" in text for text in found["problems"])
    assert (found["data_url"], found["console_url"], found["config_on_disk"]) == ("D", "C", ["/c.yaml", "digest"])


def test_a_child_that_ends_again_and_again_degrades_the_whole():
    children = family()
    children[2].crashes = [950.0, 960.0, 970.0, 980.0, 990.0]
    assert problems_of(children, True, 1000.0) == []
    children[2].crashes.append(999.0)
    assert problems_of(children, True, 1000.0) == ["edge-0 ended 6 times within a minute"]
    assert told(children)["state"] == "degraded"
    assert problems_of(children, True, 1100.0) == [], "a minute later it is forgotten"


def test_a_child_that_hung_is_told_for_a_minute():
    children = family()
    children[1].hung_s = [990.0]
    assert "control gave no sign of life" in problems_of(children, True, 1000.0)[0]
    assert problems_of(children, True, 1051.0) == []


def test_a_child_that_does_not_start_says_why_once_all_were_ready():
    children = family()
    children[0].is_ready, children[0].reason = False, "no KEK"
    assert problems_of(children, True, 0.0) == ["vault does not start: no KEK"]
    assert problems_of(children, False, 0.0) == []


def test_an_end_is_said_whatever_the_children_say():
    assert told(family(), forced="draining")["state"] == "draining"
