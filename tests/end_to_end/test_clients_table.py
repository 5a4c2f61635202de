"""The table that is made of results."""

from tests.clients.program import Program
from tests.clients.table import Grid, render
from tests.clients.upstreams import Upstream, configuration

PROGRAM = Program("Some CLI", "some", lambda: "1.2", lambda home, scenario, prompt: "", ("loop", "image"))
HERE, THERE = Upstream("here", "a", "m"), Upstream("there", "b", "m")


def rendered(results, *upstreams):
    return render((Grid("Some:", (PROGRAM,), upstreams),), results)


def cell(*problems):
    return {"version": "1.2", "dialects": ["openai"], "problems": list(problems)}


def test_a_cell_says_whether_all_of_it_was_run_what_failed_and_in_which_dialect():
    good = {f"some a/m {name}": cell() for name in ("check", "loop", "image")}
    lines = rendered(good | {"some b/m loop": cell()}, HERE, THERE).splitlines()
    assert lines[0] == "Of 6 scenarios 4 passed, 0 failed, 0 cannot be (the provider refuses them), 2 were not run."
    assert lines[6] == "| Some CLI 1.2 | ✔ chat | ✔ 1 of 3 chat |"
    text = rendered(good | {"some a/m loop": cell("lost: a | b")}, HERE, THERE)
    assert "| Some CLI 1.2 | ✗ loop chat | not run |" in text
    assert "- Some CLI → here, loop: lost: a / b" in text


def test_every_provider_of_the_columns_is_configured_once():
    lines = configuration(1234).splitlines()[1:]
    names = [line.strip().partition(":")[0] for line in lines]
    assert len(names) == len(set(names)) >= 7 and all("http://127.0.0.1:1234/" in line for line in lines)


def test_a_column_of_one_scenario_asks_that_alone():
    wrong = Upstream("misspelt", "c", "m", only="wrong")
    assert PROGRAM.asked(wrong) == ["wrong"]
    assert "| Some CLI 1.2 | ✔ |" in rendered({"some c/m wrong": {**cell(), "dialects": []}}, wrong)


def test_what_an_upstream_refuses_of_everybody_is_no_part_of_its_cells():
    blind = Upstream("blind", "d", "m", refused=(("image", "it sees nothing"),))
    assert PROGRAM.asked(blind) == ["check", "loop"]
    text = rendered({"some d/m check": cell(), "some d/m loop": cell()}, blind)
    assert "| Some CLI 1.2 | ✔ chat |" in text and "- every client → blind, image: it sees nothing." in text
    assert "2 passed, 0 failed, 1 cannot be" in text
