"""Every row of the catalogue is usable."""

import pytest

from switchgear.app.layout import load_prices
from switchgear.providers import endpoint
from switchgear.providers.catalogue import PROVIDERS


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_a_row_parses_and_its_prices_exist(row):
    place = endpoint.parse(row.base_url, auth=row.auth, allow_private=row.allow_private)
    assert place.scheme == "https" or row.allow_private
    assert row.pricing_id is None or load_prices(row.pricing_id) is not None
