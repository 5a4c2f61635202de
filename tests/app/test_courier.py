"""What the courier reads before its cell closes: its key, its destinations, the ports that stay open."""

import msgspec
import pytest
from tests.courier.rig import destination

from switchgear.app import cells, courier
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout
from switchgear.core.errors import UserError


def boot(tmp_path, *sealed, key="63" * 32):
    path = tmp_path / "courier.key"
    if key is not None:
        path.write_text(key)
        path.chmod(0o600)
    return Boot(
        role="courier",
        data=str(tmp_path),
        run_id="r",
        lifeline_fd=-1,
        ready_fd=-1,
        destinations=msgspec.Raw(msgspec.json.encode(list(sealed))),
        courier_key=str(path),
    )


def test_destinations_are_opened_and_only_their_ports_stay_open(tmp_path):
    order = boot(tmp_path, destination(8443), destination(5432, "db", "relay", auth="none", secret=b""))
    prepared = courier.prepare(order)
    assert prepared.unopened == [] and order.ports == [5432, 8443]
    cell = cells.cell_of("courier", 0, Layout(tmp_path), "", -1, order.ports)
    assert cell.goes_out and cell.ports == (53, 5432, 8443) and cell.keeps == () and cell.root == ""
    assert cell.serves == (str(tmp_path / "run" / "courier"),)
    assert not {path for path in cell.reads if path.startswith(str(tmp_path))}


def test_without_its_key_it_does_not_start(tmp_path):
    with pytest.raises(UserError, match="the courier's key file"):
        courier.prepare(boot(tmp_path, destination(443), key=None))


def test_with_another_key_it_starts_and_says_what_does_not_open(tmp_path):
    assert courier.prepare(boot(tmp_path, destination(443), key="00" * 32)).unopened == ["there"]
