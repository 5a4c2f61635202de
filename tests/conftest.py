"""Fixtures that every room shares."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from switchgear.testing.clock import FakeClock

ROOT = Path(__file__).parent.parent

# `make fuzz`: the property tests with many more examples, and a database of what failed before.
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20000")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# Everywhere else: how long an example takes says more of the machine than of the code; growth is measured where it matters.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("fuzz" if os.environ.get("FUZZ_EXAMPLES") else "tests")


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


# Files that take a minute or more: they begin first, so that no test process works alone at the end.
LONG = (
    "test_breach",
    "test_commands",
    "test_doors",
    "test_configuration",
    "test_kill",
    "test_floods",
    "test_gateway_processes",
    "test_hosts",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first; the rest stays in the order that the plugins chose."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
