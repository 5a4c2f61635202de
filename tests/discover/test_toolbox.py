from switchgear.detect.finding import Fingerprint
from switchgear.discover.toolbox import Toolbox, shipped_advisories, shipped_files


def test_everything_ships_and_fits():
    tools = Toolbox.shipped(Fingerprint(b"k" * 32))
    assert {"keys/groq.toml", "products/litellm.toml", "domains.toml"} <= shipped_files().keys()
    assert tools.gateway_files["tensorzero.toml"] == "tensorzero"


def test_advisories_can_be_replaced():
    other = shipped_advisories().__class__("switchgear-advisories/1", 2, "2027-01-01", "2027-06-01", [])
    assert Toolbox.shipped(Fingerprint(b"k" * 32), other).advisories.file.as_of == "2027-01-01"
