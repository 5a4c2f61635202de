"""Counters that two edges share, and the time that they live in."""

import pytest
from tests.counters.test_backend import NAMES, Time, shared


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def edges(time, tmp_path):
    made = [shared(time, tmp_path, name) for name in NAMES[:2]]
    yield made
    for edge in made:
        edge.close()
