"""A release: the same bytes twice, everything in it, and a gateway from the wheel alone, in an empty environment, as a plain user.

`make release` runs this on what it made (RELEASE_DIST), with the packages from the index; else it is built here, and the packages
are copied from the environment of the tests, because a network is not always there.
"""

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from scripts import release

from switchgear import __released__, __version__
from switchgear.testing.gateway import free_port, wait_for
from switchgear.testing.patience import PATIENCE_S
from switchgear.vault import egress

ROOT = Path(__file__).parent.parent.parent
NOBODY = 65_534
SECONDS = 1_795_737_600


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder of a release."""
    if "RELEASE_DIST" in os.environ:
        return Path(os.environ["RELEASE_DIST"])
    folder = tmp_path_factory.mktemp("dist")
    release.build(folder, SECONDS)
    return folder


@pytest.fixture(scope="module")
def open_folder():
    """A folder that every user may enter: pytest's are closed."""
    folder = Path(tempfile.mkdtemp(prefix="switchgear-release-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def program(dist, open_folder):
    """`switchgear` of the wheel, in an environment that holds nothing else."""
    folder = open_folder
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "-q", "--no-deps"]
    if "RELEASE_DIST" in os.environ:
        locked = next(dist.glob("*-requirements.txt"))
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(locked)], check=True)
    else:
        copy_packages(next(venv.glob("lib/*/site-packages")))
    wheel = next(dist.glob("*.whl"))
    subprocess.run([*pip, "--no-index", str(wheel)], check=True, cwd=folder)
    return venv / "bin" / "switchgear"


def copy_packages(site: Path) -> None:
    for name, _, _ in release.locked():
        package = importlib.metadata.distribution(name)
        for file in package.files or ():
            source = Path(str(package.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, site / file)


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    assert release.version() == __version__
    assert f"user-agent: switchgear/{__version__}\r\n".encode() == egress.USER_AGENT
    literal = re.compile(rf"""["']{re.escape(__version__)}["']""")
    spelled = [path for path in (ROOT / "src").rglob("*.py") if literal.search(path.read_text())]
    assert [path.name for path in spelled] == ["__init__.py"]


def test_the_changelog_is_headed_by_the_version_and_its_day():
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert heading == f"## {__version__} ({__released__})" == f"## {release.version()} ({release.released()})"


NOTED = "## 1.2.0 (2030-01-05)\n\n## 1.1.0 (2029-01-01)\n"


@pytest.mark.parametrize(
    ("tags", "changelog", "committed", "reason"),
    [
        ([], NOTED, "2030-01-05", ""),
        (["v1.1.9", "v0.9"], NOTED, "2030-01-12", ""),
        (["v1.2.0"], NOTED, "2030-01-05", "not higher than the tag v1.2.0"),
        (["v1.10.0", "v1.9.0"], NOTED, "2030-01-05", "not higher than the tag v1.10.0"),
        ([], "## 1.1.0 (2030-01-05)\n", "2030-01-05", "not headed '## 1.2.0 (2030-01-05)'"),
        ([], "## 1.2.0 (unreleased)\n", "2030-01-05", "not headed"),
        ([], NOTED, "2030-01-04", "set __released__"),
        ([], NOTED, "2030-01-13", "set __released__"),
    ],
)
def test_a_version_that_was_there_or_is_not_described_or_dated_is_refused(tags, changelog, committed, reason):
    why = release.refusal("1.2.0", "2030-01-05", tags, changelog, committed)
    assert (reason in why) if reason else why == ""


def test_two_builds_of_one_tree_are_byte_identical(tmp_path, dist):
    seconds = release.commit_seconds() if "RELEASE_DIST" in os.environ else SECONDS
    mask = os.umask(0o077)
    try:
        release.build(tmp_path, seconds)
    finally:
        os.umask(mask)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 6
    for name in names:
        assert (tmp_path / name).read_bytes() == (dist / name).read_bytes(), name


def test_the_wheel_holds_every_file_of_the_package_and_the_bill(dist):
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        record = archive.read(f"switchgear-{__version__}.dist-info/RECORD").decode()
    sources = {str(path.relative_to("src")) for path in release.tracked(ROOT) if path.parts[0] == "src"}
    assert sources - names == set()
    assert {line.split(",")[0] for line in record.splitlines()} == names
    assert f"switchgear-{__version__}.dist-info/sboms/{release.SBOM}" in names
    assert f"switchgear-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_bill_is_valid_and_names_every_locked_package(dist):
    text = next(dist.glob("*.cdx.json")).read_text()
    assert make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    pins = {line.split(" ")[0] for line in lines if "==" in line} - {line for line in lines if line.startswith("flit")}
    named = {f"{entry['name']}=={entry['version']}" for entry in components}
    assert named == {pin for pin in pins if not pin.startswith("flit-core==")}
    digests = [content for entry in components for content in entry["externalReferences"][0]["hashes"]]
    assert len(digests) >= len(components) and all(entry["licenses"] for entry in components)


def test_the_notices_hold_a_licence_of_nearly_every_package(dist):
    text = next(dist.glob("*-notices.txt")).read_text()
    assert text.count("=" * 100) == len(release.locked())
    assert text.count("has no licence file") <= 3


def test_the_wheel_alone_serves_the_demo_to_a_plain_user(program, open_folder):
    """No checkout, no root: data files, migrations and the demo provider come from the wheel."""
    home = open_folder / "home"
    home.mkdir()
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        os.chown(home, NOBODY, NOBODY)
    port, console = free_port(), free_port()
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "SWITCHGEAR_LISTEN": f"127.0.0.1:{port}",
        "SWITCHGEAR_CONSOLE": f"127.0.0.1:{console}",
    }
    with (open_folder / "log").open("w+b") as log:
        gateway = subprocess.Popen(
            [str(program), "serve", "--demo"],
            cwd=home,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **user,
        )
        try:
            wait_for(port, gateway)
            curl = printed_curl(home / "switchgear-data" / "run" / "welcome")
            command = [str(program), "status", "--json"]
            status = json.loads(
                subprocess.run(command, cwd=home, env=environ, capture_output=True, check=False, **user).stdout
            )
            assert (status["state"], status["version"]) == ("ready", __version__)
            run = subprocess.run(["bash", "-c", curl], env=environ, capture_output=True, check=True, timeout=PATIENCE_S)
            assert json.loads(run.stdout)["choices"][0]["message"]["content"] == "hello"
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.send_signal(signal.SIGTERM)
            ended = gateway.wait(PATIENCE_S)
            print((open_folder / "log").read_text())
        assert ended == 0


def printed_curl(welcome: Path) -> str:
    """Wait for the file with the welcome, which is written where there is no terminal, and return its `curl`."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        match = re.search(r"curl -s [^\n]*\\\n[^\n]*", welcome.read_text() if welcome.exists() else "")
        if match:
            return match.group()
        time.sleep(0.1)
    raise TimeoutError(f"no curl in {welcome}")


@pytest.mark.skipif("RELEASE_DIST" not in os.environ, reason="make release takes the tour on the installed wheel")
def test_the_tour_runs_on_the_installed_wheel(program):
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "tests/end_to_end/test_readme.py", "-k", "the_tour"],
        cwd=ROOT,
        env={**environ, "SWITCHGEAR_PROGRAM": str(program)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4_000:]
