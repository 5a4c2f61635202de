"""Writes docs/assurance.md: every claim, the tests that carry its id, the last figure, the command that repeats it.

python scripts/assurance.py            write
python scripts/assurance.py --check    exit 1 when the document is not what this would write
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "assurance.md"
TEST = re.compile(r"^(?:async )?def (test_([PCHLSNM][0-9])_\w+)", re.M)

CLAIMS = {
    "P1": "Every process locks itself into a cell before it reads a foreign byte, and tries the door: Landlock, seccomp, no capabilities, not traceable, no core. What the kernel lacks, `doctor` says; then the gateway listens on loopback only.",
    "P2": "Started as root, every process is a user of its own, also from a checkout that others cannot reach; no file is readable by anybody else.",
    "P3": "A local socket asks who connects (user id) and for a token that only its own folder holds; an edge's token is bound to its role and run.",
    "P4": "Children are executed with a short list of variables; a secret given in the environment is gone from it.",
    "P5": "One supervisor per data folder; children of a dead one end by themselves.",
    "P6": "Nobody can join the listening port; a worker's death resets no waiting connection.",
    "P7": "Code execution inside an edge, control or the vault meets walls: files, memory, network, programs, signals, the other sockets.",
    "C1": "A sealed credential opens for its provider, host, port, path, trust and proxy only.",
    "C2": "The vault lets inference paths out and nothing else.",
    "C3": "Versions only rise, removals leave a tombstone, an acknowledged change survives a power cut, a rolled-back database brings nothing back.",
    "C4": "The vault has no verb that reads a secret.",
    "C5": "The key-encryption key lies outside the data folder, readable by its user alone, and is never taken from the environment.",
    "C6": "The pepper is known to edges and control only, the KEK to the vault only.",
    "C7": "A frame names a deployment, never a URL; a forged one reaches no provider; ceilings hold whoever asks.",
    "C8": "Two books are kept: an attempt that the vault let out and no edge recorded shows within seconds.",
    "C9": "The credential's bytes are removed from what comes back; redirects and compressed answers are refused.",
    "H1": "Requests in shapes that two servers read differently are refused, however their bytes are cut.",
    "H2": "Whatever a provider answers: no hang, no second answer, no redirect, no foreign bytes on a connection.",
    "H3": "Every send to a provider is its own attempt, and none is sent twice.",
    "H4": "Bodies that are too deep, not UTF-8, or say the same key twice are refused.",
    "H5": "A key is looked for in all its places; two that differ are refused; no body is read before the key is good.",
    "H6": "A broken answer never looks complete.",
    "H7": "A claimed client address counts for nothing.",
    "L1": "Streams of a dead edge end at the vault, and a dead vault's at the edges; nothing is sent again by itself; stopped processes cost nothing but time.",
    "L2": "Nothing leaves before its record is written; a power cut loses at most what was not synced yet.",
    "L3": "A full disk loses nothing and mends itself; a reservation is admitted only while its settlement still fits.",
    "L4": "A spool has one writer; its successor closes what was open; every segment can be read alone.",
    "L5": "Nothing that a spool says is believed: lies are findings, sums follow from records, and everything is booked once.",
    "L6": "A request whose edge died costs what was seen, and is never silently zero.",
    "L7": "Nobody can fill the disk or the log from outside.",
    "L8": "A settled request shows at once.",
    "S1": "A missing database is never replaced by an empty one; edges serve on without it.",
    "S2": "A revocation holds for the next request on every edge; edges cannot write the replica.",
    "S3": "A revocation lets running streams end.",
    "S4": "What clients say of themselves is capped and cleaned.",
    "S5": "Whoever writes the database cannot forge what edges are told: a row that control did not write, that is older than what was seen, or that is gone, changes nothing and is named.",
    "N1": "All edges together never exceed a limit of requests at once, and a killed edge keeps no slot.",
    "N2": "Counters are of one boot; balances are unknown until they were given again.",
    "N3": "In any window no more is admitted than a limit says, over all edges, also after a restart; a wait that is told is true.",
    "M2": "kill -9 of any process at any moment, at random and at named places: nothing lost, nothing double, sums follow.",
    "M3": "No credential, no key-encryption key and no presented virtual key is on disk, in an environment, in a log, or in the memory of a process that should not have it.",
}
NOT_YET = {
    "N4": "the counters are tested, but no budget goes through them yet",
    "M1": "a rule for benchmarks, not a claim: docs/benchmarks.md",
}  # fmt: skip
# What is measured in long runs: what, the last figure with its date, the command. Written by hand after a run.
FIGURES = (
    (
        "attacker code inside edge, control and vault, as root and as a plain user",
        "306 of 306 walls hold (2026-11-26)",
        "make breach",
    ),
    (
        "kill -9 at random and at named places, under load",
        "2,000 kills, 769,768 records, 634 deaths at 42 named places: 0 lost, 0 double, 0 damaged files; back after 0.02 s (p50), 0.89 s (p99); once 10 s, while other test suites took ports on the same machine, and not in 570 further kills (worst 1.4 s) (2026-11-26)",
        "make torture",
    ),
    (
        "an exception thrown before and after what each door of edge and vault does, two streams running",
        "44 and 35 doors: at most one request disturbed, nobody hangs, nothing lost or double, each told (2026-11-26)",
        "make doors",
    ),
    (
        "simulated power cuts of a spool, one to three in a row, and of the vault's box",
        "1,000 and 100: nothing synced was lost, no hole, no reservation left open (2026-11-26)",
        "make power",
    ),
    (
        "hostile requests, with a reason each: parser, gateway, h11, nginx",
        "212: none accepted wrongly, no hang, no traceback (2026-11-26)",
        "pytest tests/end_to_end/test_hostile_http.py",
    ),
    (
        "hostile providers",
        "25 scripts: no hang, no traceback, no redirect followed, no key leaked (2026-11-26)",
        "pytest tests/end_to_end/test_hostile_upstream.py",
    ),
    (
        "good clients beside 500 slow ones and 300 bad keys a second, p99",
        "1.32 and 1.28 times the p99 without them in two runs; the attackers share the client's two cores (2026-11-26)",
        "python -m tests.end_to_end.beside_slow",
    ),
    (
        "processes stopped for 30 s, 500 slow clients, a full disk",
        "control stopped: no failed request; vault or edge stopped: nothing lost; slow clients let go; on a full disk keys are revoked and frozen; after the full disk everything answered is booked (2026-11-26)",
        "make endure",
    ),
    (
        "recorded exchanges through the gateway, from every client's dialect to strict twins of 19 providers: as recorded, stream and plain exchanged, a second turn; texts, calls, ids, ends, usage and the ledger compared with the provider's own words",
        "every fourth of them: 5,047 equal, 469 refused by name, 6 not, which are mended since (2026-11-27)",
        "make crossings",
    ),
    (
        "mistakes put into a copy of the product, one at a time, each to be noticed by a test",
        "61 of 61 are noticed, three of them by tests that were written for it (2026-11-27)",
        "make mutants",
    ),
    (
        "coverage-guided fuzzing, nine targets",
        "466 million executions, no crash: routes 184, keys 163, records 52, responses 31, frames 20, eventstream 11, sse 3.7, http1 1.1, config 1.0 million (2026-11-26)",
        "make fuzz",
    ),
    (
        "nine floods of a gateway and two of its vault: memory, and stopping somebody meanwhile",
        "edge at most 497 MB (611 MB in one of two runs with 100 large answers that nobody reads), vault 376 MB, given back within 30 s; on a busy machine a revocation or a freeze was answered after 0.2 to 1.3 s, once 3.5 s, and held by then; beside a stopped vault or edge 0.6 s, control itself stopped 7.5 s (2026-11-26)",
        "python -m tests.end_to_end.floods",
    ),
    (
        "exceptions thrown at every guarded door of edge and vault, before and after what it does",
        "at most the one request disturbed, none hung, none lost, all told (2026-11-26)",
        "make doors",
    ),
    (
        "CPU per request, confined and not",
        "8.52 and 8.31 times nginx, + 2.5 % (means of three alternating runs, each with a spread of 10 %) (2026-11-24)",
        "make bench, and the same with confine/cell.lock emptied",
    ),
)


def tests():
    """Return id → [(file, name)]."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, claim in TEST.findall(path.read_text()):
            found.setdefault(claim, []).append((path.relative_to(ROOT), name))
    return found


def document():
    """Return the text."""
    found = tests()
    lines = [
        "# Assurance",
        "",
        "What this program claims, and the programs that try to prove it wrong. Written by `python scripts/assurance.py` from the tests:",
        "a test carries the id of the claim in its name. All of them run in `make test`, but for the long runs below.",
        "",
        "## Long runs",
        "",
        "| what | last figure | repeat it |",
        "|---|---|---|",
        *(f"| {what} | {figure} | `{command}` |" for what, figure, command in FIGURES),
        "",
        "## Claims",
        "",
    ]
    for claim, text in CLAIMS.items():
        carried = found.get(claim, [])
        lines += [f"**{claim}** {text}", ""]
        by_file = {}
        for path, name in carried:
            by_file.setdefault(path, []).append(name.removeprefix(f"test_{claim}_").replace("_", " "))
        for path, names in by_file.items():
            lines.append(f"- `{path}`: {'; '.join(names)}")
        lines.append("")
    lines += ["## Not claimed yet", ""]
    lines += [f"- **{claim}**: {why}" for claim, why in NOT_YET.items()]
    return "\n".join(lines) + "\n"


def main():
    text = document()
    without = [claim for claim in CLAIMS if claim not in tests()]
    if without:
        print(f"no test carries {', '.join(without)}")
        return 1
    if "--check" in sys.argv:
        if TARGET.read_text() != text:
            print("docs/assurance.md is not current: python scripts/assurance.py")
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
