"""A part of the crossings, CROSSINGS_SEED says which; `make crossings` has all of them (`tests/end_to_end/crossings.py`)."""

import os

import pytest
from tests.end_to_end import crossings

from switchgear.testing import recordings

EVERY = 71
"""As many as take some 30 s of CPU; a prime, so that every mode and every pair of dialects comes along."""
SEED = int(os.environ.get("CROSSINGS_SEED", "56"))


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_recorded_exchanges_cross_the_gateway_between_strict_twins_unchanged():
    rows = crossings.load()
    chosen = list(crossings.crossings(rows))[SEED % EVERY :: EVERY]
    assert {(one.question.dialect, one.answer.dialect) for one in chosen} > {
        ("openai", "anthropic"),
        ("anthropic", "bedrock"),
    }
    result = crossings.run(rows, chosen)
    assert result.bad() == [], f"seed {SEED % EVERY} of {EVERY}"
    assert result.bookings == [], f"seed {SEED % EVERY} of {EVERY}"
    equal = sum(outcome.kind == "ok" for _, outcome in result.outcomes)
    assert equal > 0.8 * len(result.outcomes)


def test_a_difference_is_seen():
    wanted = crossings.said.Said("hi", (crossings.said.Call("a", "f", {}),), "tools", crossings.said.Tokens(3, 2, 0))
    assert crossings.differences_of_answers(wanted, wanted, "openai") == []
    for other in (
        wanted._replace(text="h"),
        wanted._replace(calls=()),
        wanted._replace(calls=(wanted.calls[0]._replace(id="b"),)),
        wanted._replace(finish="stop"),
        wanted._replace(tokens=crossings.said.Tokens(3, 1, 0)),
    ):
        assert len(crossings.differences_of_answers(wanted, other, "openai")) == 1
