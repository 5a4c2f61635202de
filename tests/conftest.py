"""Fixtures that every room shares."""

import os
from pathlib import Path

import pytest

from switchgear.testing.clock import FakeClock

ROOT = Path(__file__).parent.parent


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded provider exchanges, where there is one."""
    folder = Path(os.environ.get("SWITCHGEAR_RECORDINGS", ROOT.parent / "shared" / "recordings"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}; set SWITCHGEAR_RECORDINGS")
    return folder
