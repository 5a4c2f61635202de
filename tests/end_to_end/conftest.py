"""One gateway and one provider for the tests that do not break them."""

import pytest
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, ProviderProcess


@pytest.fixture(scope="session")
def provider():
    running = ProviderProcess()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def gateway(provider):
    running = GatewayProcess(config(provider.port), environ=ENVIRON)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def key(gateway):
    return gateway.key("tests", "--team", "quality")


@pytest.fixture(scope="session")
def strict_provider():
    """Refuses what the makers of the dialects refuse."""
    running = ProviderProcess(is_strict=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def strict_gateway(strict_provider):
    running = GatewayProcess(config(strict_provider.port), environ=ENVIRON)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def strict_key(strict_gateway):
    return strict_gateway.key("tests", "--team", "quality")
