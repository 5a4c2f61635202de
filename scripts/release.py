"""Makes a release: sdist, wheel, bill of materials, licence notices and checksums, the same bytes for the same commit.

python scripts/release.py [--out dist]

- Version and day stand in `switchgear.__version__` and `__released__` alone. The first section of CHANGELOG.md is headed by both, the
  version is higher than every tag `v*`, and the day is at most a week before the commit's.
- Only tracked files go in. Every time in an archive is that of the commit (or SOURCE_DATE_EPOCH), so two builds are equal.
- The bill of materials is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/, read 2026-11-27), made of requirements/run.txt; it
  lies in the wheel (PEP 770: `.dist-info/sboms/`), in the sdist, and beside them.
- The notices are the licence files of all packages of that list, as they are installed here.
"""

import argparse
import base64
import csv
import hashlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD_ONLY = {"flit-core"}
DAY_AGE_MAX = 7
SBOM = "sbom.cdx.json"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", re.M)
LICENCE = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.I)


def version(root=ROOT):
    """Return the version, without importing the package."""
    return _said("version", root)


def released(root=ROOT):
    """Return the version's day, as YYYY-MM-DD."""
    return _said("released", root)


def _said(name, root):
    text = (root / "src" / "switchgear" / "__init__.py").read_text()
    return re.search(rf'^__{name}__ = "([^"]+)"$', text, re.M).group(1)


def as_numbers(text):
    """Return a version as a tuple that sorts."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def refusal(new, day, tags, changelog, committed):
    """Return why a version cannot be released, or ''. `day` and `committed`: the version's and the commit's, as YYYY-MM-DD."""
    newest = max((tag.removeprefix("v") for tag in tags), key=as_numbers, default="")
    if newest and as_numbers(new) <= as_numbers(newest):
        return f"version {new} is not higher than the tag v{newest}: raise __version__ in src/switchgear/__init__.py"
    heading = next((line for line in changelog.splitlines() if line.startswith("## ")), "")
    if heading != f"## {new} ({day})":
        return f"the first section of CHANGELOG.md is not headed '## {new} ({day})'"
    if not 0 <= (date.fromisoformat(committed) - date.fromisoformat(day)).days <= DAY_AGE_MAX:
        return f"the commit is of {committed}, the version of {day}: set __released__ in src/switchgear/__init__.py"
    return ""


def locked(root=ROOT):
    """Return (name, version, SHA-256 digests) of each package that runs, from the hash lock."""
    found = PIN.findall((root / "requirements" / "run.txt").read_text())
    return [
        (name, number, re.findall(r"sha256:([0-9a-f]{64})", hashes))
        for name, number, hashes in found
        if name not in BUILD_ONLY
    ]


def licence(name):
    """Return a package's licence as CycloneDX says it: an SPDX expression, or a name."""
    about = importlib.metadata.metadata(name)
    if about.get("License-Expression"):
        return [{"expression": about["License-Expression"]}]
    classifiers = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License ::")
    ]
    text = classifiers[0] if classifiers else (about.get("License") or "").split("\n")[0][:80]
    return [{"license": {"name": text}}] if text else []


def sbom(packages, new, seconds):
    """Return the bill of materials."""
    components = []
    for name, number, digests in packages:
        purl = f"pkg:pypi/{name.lower()}@{number}"
        components.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": number,
                "purl": purl,
                "scope": "required",
                "licenses": licence(name),
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": purl,
                        "comment": "SHA-256 of every file that may be installed",
                        "hashes": [{"alg": "SHA-256", "content": digest} for digest in digests],
                    }
                ],
            }
        )
    own = f"pkg:pypi/switchgear@{new}"
    content = json.dumps(components)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "switchgear",
                "version": new,
                "purl": own,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }


def notices(packages):
    """Return the licence files of all packages as one text. Raises SystemExit when another version is installed than is locked."""
    parts = []
    for name, number, _ in packages:
        package = importlib.metadata.distribution(name)
        if package.version != number:
            raise SystemExit(f"{name} {package.version} is installed, {number} is locked: make install")
        terms = licence(name)
        stated = next((entry.get("expression") or entry["license"]["name"] for entry in terms), "see its files")
        texts = [
            path.read_text(errors="replace").strip()
            for path in sorted(
                {
                    Path(str(package.locate_file(file)))
                    for file in package.files or ()
                    if ".dist-info" in file.parts[0] and LICENCE.match(file.name)
                }
            )
            if path.is_file()
        ]
        parts.append(
            f"{'=' * 100}\n{name} {number}: {stated}\n\n" + "\n\n".join(texts or ["(its package has no licence file)"])
        )
    return "\n\n".join(parts) + "\n"


def tracked(root):
    """Return the files of the project: what git tracks, or everything in a tree without git."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if run.returncode == 0 and run.stdout:
        return [Path(name) for name in run.stdout.split("\0") if name and (root / name).is_file()]
    return [path.relative_to(root) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def add_to_wheel(wheel, name, content, seconds):
    """Add one file below the wheel's `.dist-info`, and its line in RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    info_folder = next(info.filename.split("/")[0] for info, _ in entries if ".dist-info/" in info.filename)
    path = f"{info_folder}/{name}"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    moment = datetime.fromtimestamp(max(seconds, 315_532_800), UTC).timetuple()[:6]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, data in entries:
            text = data
            if info.filename == f"{info_folder}/RECORD":
                added = zipfile.ZipInfo(path, moment)
                added.compress_type, added.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
                archive.writestr(added, content)
                line = io.StringIO()
                csv.writer(line, lineterminator="\n").writerow([path, f"sha256={digest}", len(content)])
                text = line.getvalue().encode() + data
            archive.writestr(info, text)


def build(out, seconds, root=ROOT):
    """Write the release into a folder and return its files."""
    new, packages = version(root), locked(root)
    out.mkdir(parents=True, exist_ok=True)
    bill = (json.dumps(sbom(packages, new, seconds), indent=1) + "\n").encode()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for path in tracked(root):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, tree / path)
        (tree / SBOM).write_bytes(bill)
        code = f"import flit_core.buildapi as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
        subprocess.run(
            [sys.executable, "-c", code], cwd=tree, env={**os.environ, "SOURCE_DATE_EPOCH": str(seconds)}, check=True
        )
    add_to_wheel(out / f"switchgear-{new}-py3-none-any.whl", f"sboms/{SBOM}", bill, seconds)
    (out / f"switchgear-{new}.cdx.json").write_bytes(bill)
    (out / f"switchgear-{new}-notices.txt").write_text(notices(packages))
    shutil.copyfile(root / "requirements" / "run.txt", out / f"switchgear-{new}-requirements.txt")
    files = sorted(path for path in out.iterdir() if path.name.startswith("switchgear-"))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "SHA256SUMS").write_text(sums)
    return [*files, out / "SHA256SUMS"]


def commit_seconds(root=ROOT):
    """Return the moment that the archives carry."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    run = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=True)
    return int(run.stdout)


def main():
    parser = argparse.ArgumentParser(description="Make a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out = parser.parse_args().out.resolve()
    tags = subprocess.run(
        ["git", "tag", "--list", "v*"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    committed = datetime.fromtimestamp(commit_seconds(), UTC).date().isoformat()
    why = refusal(version(), released(), tags, (ROOT / "CHANGELOG.md").read_text(), committed)
    if why:
        print(why, file=sys.stderr)
        return 1
    for path in build(out, commit_seconds()):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
