"""The detectors with the data that ships, ready to use by every source. Level 5."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from switchgear.core.errors import UserError
from switchgear.detect.advisories import AdvisoryDetector, AdvisoryFile, read
from switchgear.detect.domains import DomainDetector
from switchgear.detect.finding import Fingerprint
from switchgear.detect.keys import KeyDetector
from switchgear.detect.packages import PackageDetector
from switchgear.detect.rules import Library
from switchgear.detect.services import ServiceDetector

_DATA = resources.files("switchgear.detect") / "data"


def shipped_files() -> dict[str, bytes]:
    """Return the data files of this program by relative name."""
    found = {}
    for folder in ("keys", "products", "sdks"):
        for entry in (_DATA / folder).iterdir():
            if entry.name.endswith(".toml"):
                found[f"{folder}/{entry.name}"] = entry.read_bytes()
    found["domains.toml"] = (_DATA / "domains.toml").read_bytes()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    """Return an operator's own data files: keys/*.toml, products/*.toml, sdks/*.toml, domains.toml. Raises UserError."""
    try:
        paths = [path for name in ("keys", "products", "sdks") for path in folder.glob(f"{name}/*.toml")]
        paths += folder.glob("domains.toml")
        found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}
    except OSError as exc:
        raise UserError(f"--rules {folder}: {exc.strerror}", "", 2) from None
    if not found:
        raise UserError(
            f"--rules {folder} has no keys/*.toml, products/*.toml, sdks/*.toml or domains.toml",
            "see docs/discovery.md",
            2,
        )
    return found


def shipped_advisories() -> AdvisoryFile:
    """Return the advisory data of this program."""
    return read((_DATA / "advisories.json").read_bytes(), "advisories.json")


class DetectorSet:
    """Every detector."""

    def __init__(self, library: Library, advisories: AdvisoryFile, fingerprint: Fingerprint) -> None:
        self.library = library
        self.keys = KeyDetector(library.keys)
        self.domains = DomainDetector(library.domains)
        self.packages = PackageDetector(library.sdks)
        self.services = ServiceDetector(library.products)
        self.advisories = AdvisoryDetector(advisories)
        self.fingerprint = fingerprint
        self.gateway_files = {pattern: product.id for product in library.products for pattern in product.files}

    @classmethod
    def shipped(
        cls,
        fingerprint: Fingerprint,
        advisories: AdvisoryFile | None = None,
        own: Mapping[str, bytes] | None = None,
    ) -> "DetectorSet":
        """Make one of what ships; `advisories` replace the shipped ones, `own` files come on top, by the same names."""
        return cls(Library.read({**shipped_files(), **(own or {})}), advisories or shipped_advisories(), fingerprint)
