"""The services of an edge are one frozen value."""

import pytest

from switchgear.testing.edge import Dialogue


def test_services_cannot_be_exchanged_under_a_request():
    services = Dialogue().services
    with pytest.raises(AttributeError):
        services.clock = None
