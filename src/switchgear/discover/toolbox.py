"""The detectors with the data that ships, ready to use by every source. Level 5."""

from importlib import resources

from switchgear.detect.advisories import AdvisoryDetector, AdvisoryFile, read
from switchgear.detect.domains import DomainDetector
from switchgear.detect.finding import Fingerprint
from switchgear.detect.keys import KeyDetector
from switchgear.detect.rules import Library
from switchgear.detect.services import ServiceDetector

_DATA = resources.files("switchgear.detect") / "data"


def shipped_files() -> dict[str, bytes]:
    """Return the data files of this program by relative name."""
    found = {}
    for folder in ("keys", "products"):
        for entry in (_DATA / folder).iterdir():
            if entry.name.endswith(".toml"):
                found[f"{folder}/{entry.name}"] = entry.read_bytes()
    found["domains.toml"] = (_DATA / "domains.toml").read_bytes()
    return found


def shipped_advisories() -> AdvisoryFile:
    """Return the advisory data of this program."""
    return read((_DATA / "advisories.json").read_bytes(), "advisories.json")


class Toolbox:
    """Every detector."""

    def __init__(self, library: Library, advisories: AdvisoryFile, fingerprint: Fingerprint) -> None:
        self.library = library
        self.keys = KeyDetector(library.keys)
        self.domains = DomainDetector(library.domains)
        self.services = ServiceDetector(library.products)
        self.advisories = AdvisoryDetector(advisories)
        self.fingerprint = fingerprint
        self.gateway_files = {pattern: product.id for product in library.products for pattern in product.files}

    @classmethod
    def shipped(cls, fingerprint: Fingerprint, advisories: AdvisoryFile | None = None) -> "Toolbox":
        """Make one of what ships; `advisories` replace the shipped ones."""
        return cls(Library.read(shipped_files()), advisories or shipped_advisories(), fingerprint)
