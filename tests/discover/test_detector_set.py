import pytest

from switchgear.core.errors import ConfigError, UserError
from switchgear.detect.finding import Fingerprint
from switchgear.discover.detector_set import DetectorSet, files_of, shipped_advisories, shipped_files


def test_everything_ships_and_fits():
    tools = DetectorSet.shipped(Fingerprint(b"k" * 32))
    assert {"keys/groq.toml", "products/litellm.toml", "domains.toml"} <= shipped_files().keys()
    assert tools.gateway_files["tensorzero.toml"] == "tensorzero"


def test_advisories_can_be_replaced():
    other = shipped_advisories().__class__("switchgear-advisories/1", 2, "2027-01-01", "2027-06-01", [])
    assert DetectorSet.shipped(Fingerprint(b"k" * 32), other).advisories.file.as_of == "2027-01-01"


OWN = """id = "acme"
title = "Acme key"
provider = "acme"
severity = "high"
as_of = "2026-11-26"
source = "us"
keywords = ["acme-"]
pattern = 'acme-[a-z]{12}'
"""


def test_an_operators_own_rules_come_on_top(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/acme.toml").write_text(OWN)
    tools = DetectorSet.shipped(Fingerprint(b"k" * 32), own=files_of(tmp_path))
    assert {"acme", "groq"} <= {rule.id for rule in tools.library.keys}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("keys/groq2.toml", OWN.replace('id = "acme"', 'id = "groq"'), "stands in two files"),
        ("keys/a.toml", OWN + "check = 'mine'\n", "keys/a.toml:9: check"),
        ("products/x.toml", 'id="x"\nname="X"\ncategory="c"\nas_of="d"\nsource="s"\nports=[1]\n[[probe]]\npath="/health"\nmarkers=[]\n',
         "products/x.toml:8: probe.path: '/health' is not on the list"),
    ],
)  # fmt: skip
def test_own_rules_that_do_not_fit_are_refused_with_their_line(tmp_path, name, text, said):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        DetectorSet.shipped(Fingerprint(b"k" * 32), own=files_of(tmp_path))


def test_a_folder_without_rules_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no keys"):
        files_of(tmp_path)
