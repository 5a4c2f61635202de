import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from switchgear.core.errors import UserError
from switchgear.detect.advisories import AdvisoryDetector, normalized, read, read_signed
from switchgear.discover.detector_set import shipped_advisories

FILE = shipped_advisories()
DETECTOR = AdvisoryDetector(FILE)
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def affected(version: str | None, product: str = "litellm") -> set[str]:
    return {m.advisory.id for m in DETECTOR.of_product(product, version) if m.state == "affected"}


def test_the_shipped_data_is_dated_and_covers_enough_products():
    assert FILE.as_of and FILE.expires > FILE.as_of and FILE.sequence >= 1
    products = {a.database_specific.product for a in FILE.advisories} - {"litellm"}
    assert len(products) >= 15
    assert all(a.database_specific.source and a.affected and a.summary for a in FILE.advisories)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("1.82.7", {"MAL-2026-LITELLM", "CVE-2026-42208", "CVE-2026-42271", "CVE-2026-49468"}),
        ("1.82.8", {"MAL-2026-LITELLM", "CVE-2026-42208", "CVE-2026-42271", "CVE-2026-49468"}),
        ("1.82.6", {"CVE-2026-42208", "CVE-2026-42271", "CVE-2026-49468"}),
        ("1.81.16", {"CVE-2026-42208", "CVE-2026-42271", "CVE-2026-49468"}),
        ("1.81.15", {"CVE-2026-42271", "CVE-2026-49468"}),
        ("1.83.7", {"CVE-2026-49468"}),
        ("1.84.0", set()),
        ("1.109.0", set()),
    ],
)
def test_the_rows_of_litellm(version, wanted):
    assert affected(version) == wanted


def test_an_unknown_version_is_not_safe():
    for version in (None, "latest", "main-stable"):
        states = {m.state for m in DETECTOR.of_product("litellm", version)}
        assert states == {"unknown"}


def test_a_version_is_judged_by_the_fix_of_its_own_branch():
    assert affected("2.5.26", "milvus") and affected("2.6.9", "milvus")
    assert not affected("2.5.27", "milvus") and not affected("2.6.10", "milvus")
    assert affected("1.120.3", "n8n") and not affected("1.121.1", "n8n")


def test_last_affected_is_affected():
    assert affected("3.10.1", "mlflow") == {"CVE-2026-0545"} and not affected("3.10.2", "mlflow")


def test_packages_are_found_by_normalized_names():
    assert normalized("Open_WebUI") == "open-webui" and normalized("@a/B_c") == "@a/b_c"
    assert {m.advisory.id for m in DETECTOR.of_package("pypi", "LiteLLM", "1.82.7")} >= {"MAL-2026-LITELLM"}
    assert DETECTOR.of_package("npm", "litellm", "1.82.7") == []


def signed(payload: dict, key: Ed25519PrivateKey = KEY) -> bytes:
    raw = json.dumps(payload).encode()
    return json.dumps(
        {"payload": base64.b64encode(raw).decode(), "signature": base64.b64encode(key.sign(raw)).decode()}
    ).encode()


PAYLOAD = {
    "schema": "switchgear-advisories/1",
    "sequence": 5,
    "as_of": "2026-11-01",
    "expires": "2027-01-01",
    "advisories": [],
}


def test_a_signed_file_is_taken():
    assert read_signed(signed(PAYLOAD), [b"\0" * 32, PUBLIC], 5, "2026-11-26").sequence == 5


@pytest.mark.parametrize(
    ("data", "today", "newest", "said"),
    [
        (signed(PAYLOAD, Ed25519PrivateKey.generate()), "2026-11-26", 0, "no trusted key"),
        (signed(PAYLOAD), "2027-01-02", 0, "expired"),
        (signed(PAYLOAD), "2026-11-26", 6, "older than 6"),
        (b"{}", "2026-11-26", 0, "not a signed"),
        (b'{"payload": "!", "signature": ""}', "2026-11-26", 0, "not a signed"),
        (signed({**PAYLOAD, "sequence": "x"}), "2026-11-26", 0, "not advisory data"),
    ],
)
def test_an_untrusted_or_outdated_feed_is_refused(data, today, newest, said):
    with pytest.raises(UserError, match=said):
        read_signed(data, [PUBLIC], newest, today)


def test_a_flipped_byte_breaks_the_signature():
    data = json.loads(signed(PAYLOAD))
    raw = bytearray(base64.b64decode(data["payload"]))
    for at in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[at] ^= 1
        data["payload"] = base64.b64encode(changed).decode()
        with pytest.raises(UserError, match="no trusted key"):
            read_signed(json.dumps(data).encode(), [PUBLIC], 0, "2026-11-26")


def test_an_export_of_osv_fits():
    row = {
        "id": "GHSA-x", "modified": "2026-01-01T00:00:00Z", "schema_version": "1.7.0", "details": "…",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "litellm", "purl": "pkg:pypi/litellm"},
                      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9"}]}], "database_specific": {}}],
    }  # fmt: skip
    found = read(json.dumps({**PAYLOAD, "advisories": [row]}).encode())
    assert [m.advisory.id for m in AdvisoryDetector(found).of_package("pypi", "litellm", "1.0")] == ["GHSA-x"]
