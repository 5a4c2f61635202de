"""The table that is made of results."""

from tests.clients.program import Program
from tests.clients.table import render
from tests.clients.upstreams import Upstream, configuration

PROGRAM = Program("Some CLI", "some", lambda: "1.2", lambda home, scenario, prompt: "", ("loop", "image"))
HERE, THERE = Upstream("here", "a", "m"), Upstream("there", "b", "m")


def cell(*problems):
    return {"version": "1.2", "dialects": ["openai"], "problems": list(problems)}


def test_a_cell_says_whether_all_of_it_was_run_what_failed_and_in_which_dialect():
    good = {f"some a/m {name}": cell() for name in ("check", "loop", "image")}
    lines = render([PROGRAM], (HERE, THERE), good | {"some b/m loop": cell()}).splitlines()
    assert lines[3] == "| Some CLI 1.2 | ✔ chat | ✔ 1 of 3 chat |"
    text = render([PROGRAM], (HERE, THERE), good | {"some a/m loop": cell("lost: a | b")})
    assert "| Some CLI 1.2 | ✗ loop chat | not run |" in text
    assert "- Some CLI → here, loop: lost: a / b" in text


def test_every_provider_of_the_columns_is_configured_once():
    lines = configuration(1234).splitlines()[1:]
    names = [line.strip().partition(":")[0] for line in lines]
    assert len(names) == len(set(names)) >= 7 and all("http://127.0.0.1:1234/" in line for line in lines)


def test_a_column_of_one_scenario_asks_that_alone():
    wrong = Upstream("misspelt", "c", "m", only="wrong")
    assert PROGRAM.asked(wrong) == ["wrong"]
    assert "| Some CLI 1.2 | ✔ |" in render([PROGRAM], (wrong,), {"some c/m wrong": {**cell(), "dialects": []}})
