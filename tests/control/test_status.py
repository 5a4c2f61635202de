import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI

from switchgear.config.compile import Compiled
from switchgear.control import status
from switchgear.control.answers import Status


def write(desk, **fields):
    base = {"state": "ready", "pids": {"supervisor": 1}, "problems": []}
    desk.services.paths.status.write_bytes(msgspec.json.encode(base | fields))


def look(desk):
    return status.status(desk.services)


def test_a_status_is_what_is_described(desk):
    write(desk)
    shown = msgspec.json.decode(msgspec.json.encode(look(desk)))
    told = msgspec.convert(shown, Status)
    assert (told.state, told.problems) == ("ready", [])


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]" * 0 + b"nonsense"])
def test_before_the_supervisor_wrote_anything_control_is_starting(desk, content):
    if content is not None:
        desk.services.paths.status.write_bytes(content)
    assert look(desk)["state"] == "starting"


def test_a_problem_makes_a_ready_gateway_degraded_and_no_other_state(desk):
    for state, shown in (("ready", "degraded"), ("draining", "draining")):
        write(desk, state=state, problems=["the edge 0 died"])
        assert (look(desk)["state"], look(desk)["problems"]) == (shown, ["the edge 0 died"])


def test_each_part_tells_its_own_problems(desk):
    services = desk.services
    write(desk)
    services.config.refused_puts = ["refused"]
    services.config.problems = ["kept"]
    services.publication.damaged = {"damaged"}
    services.books.stopped = "stands still"
    assert look(desk)["problems"] == ["refused", "damaged", "stands still", "kept"]
    services.config.trouble = "the store is away"
    assert look(desk)["problems"][0] == "the store is away"


def test_a_credential_that_is_refused_is_named_with_what_to_do(desk):
    write(desk)
    desk.run(lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"))
    refused = desk.services.refusals
    refused.apply(refused.changes({"openai/default": (401, desk.clock.wall_ms())}))
    [problem] = look(desk)["problems"]
    assert problem.endswith("(status 401): switchgear credential test openai/default")


@pytest.mark.parametrize(
    ("on_disk", "problem"),
    [("d2", "differs from the configuration in force"), ("", "cannot be read any more"), ("d1", None)],
)
def test_a_file_that_is_not_what_is_in_force_is_a_problem(desk, on_disk, problem):
    desk.services.publication.compiled = Compiled(source="/etc/x.yaml", digest="d1")
    write(desk, config_on_disk=["/etc/x.yaml", on_disk])
    problems = look(desk)["problems"]
    assert (problem in problems[0]) if problem else problems == []
    write(desk, config_on_disk=["/etc/another.yaml", "d3"])
    assert look(desk)["problems"] == [], "of a file that was applied from elsewhere nothing is known"
