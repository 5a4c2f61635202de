"""Measures `discover`: recall and false positives over a corpus, speed over source and logs, memory. Level 7.

    python -m switchgear.bench.discovery [--source FOLDER …] [--log-mb 1000]

Negatives are whatever ordinary code is at hand: the standard library and every installed package.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from switchgear.detect.keys import KeyDetector
from switchgear.detect.prefilter import Prefilter
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files
from switchgear.testing.corpus import true_lines

EACH = 40
"""Keys of each kind."""


def recall(library: Library) -> tuple[int, int, int]:
    """Return (kinds, keys, keys that were found by their own rule)."""
    detector = KeyDetector(library.keys)
    prefilter = Prefilter(detector.words())
    total = found = 0
    for rule, text in true_lines(library.keys, EACH, seed=2026):
        block = text.encode()
        hits = [h for start, end, tags in prefilter.lines(block) for h in detector.find(block, start, end, tags)]
        total += 1
        found += rule.id in {hit.rule.id for hit in hits}
    return len(library.keys), total, found


def false_positives(library: Library, folders: list[Path]) -> tuple[int, list[str]]:
    """Return (lines, what was found in them) of ordinary code."""
    detector = KeyDetector(library.keys)
    prefilter = Prefilter(detector.words())
    lines, found = 0, []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if (
                path.suffix not in {".py", ".pyi", ".js", ".ts", ".json", ".yaml", ".toml", ".c", ".h", ".html"}
                or not path.is_file()
            ):
                continue
            block = path.read_bytes()
            lines += block.count(b"\n")
            for start, end, tags in prefilter.lines(block):
                found += [f"{hit.rule.id} {path}" for hit in detector.find(block, start, end, tags)]
    return lines, found


def run(*arguments: str) -> tuple[float, float, dict[str, Any]]:
    """Run discover; returns (CPU seconds, peak MiB, its JSON)."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "switchgear.cli", "discover", *arguments, "--json", "--data", f"{home}/none"]
        environment = {**os.environ, "XDG_CONFIG_HOME": home}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            out = process.stdout.read()
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(out)


def write_log(path: Path, megabytes: int) -> None:
    """Write a dnsmasq log of which one query in fifty goes to a provider."""
    rng = random.Random(7)  # noqa: S311 - the same log each time
    names = [f"host{n}.example-{n % 97}.com" for n in range(5_000)]
    providers = ["api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com", "api.mistral.ai"]
    chunk = []
    for n in range(100_000):
        name = providers[n % 4] if n % 50 == 0 else rng.choice(names)
        clock = f"{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}"
        chunk.append(f"Nov {n % 28 + 1:2} {clock} dnsmasq[712]: query[A] {name} from 10.0.{n % 8}.{n % 250}\n")
    data = "".join(chunk).encode()
    with open(path, "wb") as file:
        while file.tell() < megabytes * 1_000_000:
            file.write(data)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, nargs="*", help="Folders of ordinary code.")
    parser.add_argument("--log-mb", type=int, default=1000, help="Size of the DNS log.")
    options = parser.parse_args()
    paths = sysconfig.get_paths()
    folders = options.source or [Path(paths["stdlib"]), Path(paths["purelib"])]
    library = Library.read(shipped_files())
    kinds, total, found = recall(library)
    print(f"keys: {kinds} kinds, {total} keys, {found} found: recall {found / total:.2%}")
    lines, wrong = false_positives(library, folders)
    print(f"ordinary code: {lines:,} lines, {len(wrong)} false positives" + "".join(f"\n  {w}" for w in wrong[:20]))
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        for number, folder in enumerate(folders):
            # Under another name, so that it is read as a repository would be and not skipped as dependencies.
            subprocess.run(["cp", "-r", "--no-preserve=mode", str(folder), str(tree / f"part{number}")], check=True)
        started = time.monotonic()
        cpu, peak, report = run(str(tree))
        size = report["looked_at"]["bytes"] / 1e6
        taken = time.monotonic() - started
        print(
            f"source: {size:,.0f} MB in {report['looked_at']['files']:,} files, {cpu:.1f} s CPU, {taken:.1f} s: ",
            end="",
        )
        print(f"{size / cpu:.0f} MB/s on one core, peak {peak:.0f} MiB")
        log = Path(scratch) / "dns.log"
        write_log(log, options.log_mb)
        started = time.monotonic()
        cpu, peak, report = run("--logs", str(log), "--year", "2026")
        pairs = len(report["findings"])
        taken = time.monotonic() - started
        said = f"{pairs} findings, {cpu:.1f} s CPU, {taken:.1f} s, peak {peak:.0f} MiB"
        print(f"DNS log: {options.log_mb} MB, {said}")


if __name__ == "__main__":
    main()
