import pytest

from switchgear.detect.probe_paths import ALLOWED, DENIED, is_allowed
from switchgear.detect.rules import Library
from switchgear.detect.services import ServiceDetector
from switchgear.discover.detector_set import shipped_files

PRODUCTS = Library.read(shipped_files()).products


def test_no_allowed_path_is_one_that_must_never_be_asked():
    for path in ALLOWED:
        for pattern, whose, what in DENIED:
            assert not pattern.fullmatch(path), f"{path}: {whose} {what}"


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.id)
def test_a_product_file_brings_no_path_of_its_own(product):
    paths = {probe.path for probe in product.probe} | {source.path for source in product.version}
    paths |= {check.path for check in (product.auth, product.claimable) if check is not None}
    assert paths <= ALLOWED


def test_every_allowed_path_is_used():
    assert set(ServiceDetector(PRODUCTS).paths(None)) == ALLOWED


@pytest.mark.parametrize(
    "path", ["/health", "/flush_cache", "/api/generate", "/v1/models?x=1", "/../", "/v1//models", ""]
)
def test_other_paths_are_refused(path):
    assert not is_allowed(path)


def test_control_probes_are_random_and_allowed():
    assert (
        is_allowed("/0123456789abcdef") and not is_allowed("/0123456789abcdefg") and not is_allowed("/health0123456789")
    )
