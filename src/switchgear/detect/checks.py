"""What `doctor` checks: every check's id with the reason why it matters. Level 1. docs/doctor.md has the table (a test
compares); whoever finds something makes a Finding with the check's id as its rule.
"""

from collections.abc import Iterable, Iterator

from switchgear.core.text import clean
from switchgear.detect.advisories import AdvisoryDetector, AdvisoryFile
from switchgear.detect.finding import TEXT_MAX, Finding, Severity

REASONS: dict[str, str] = {
    # confinement, processes
    "kernel": "what the kernel lacks cannot keep an attacker in one process from the others",
    "cell": "a process that is not confined gives its attacker the machine",
    "one-user": "processes of one user are kept apart by Landlock alone",
    # key encryption key, files
    "kek-unreadable": "nobody can tell whether the key that opens every credential is safe",
    "kek-inside": "a backup of the data folder would hold lock and key",
    "kek-open": "whoever reads the KEK and the box opens every credential",
    "kek-group": "whoever reads the KEK and the box opens every credential",
    "folder-open": "other users could plant files that the gateway uses",
    "file-open": "other users read what the gateway keeps",
    # exposure
    "data-exposed": "beyond loopback everybody in the network may try keys",
    "data-plain": "keys and prompts travel in the clear",
    "console-exposed": "the console's links and tokens could be tried by everybody in the network",
    # state
    "stopped": "the processes were not looked at",
    "problem": "the gateway itself says that something is wrong",
    "store": "without its store the gateway serves, and nobody can look or change anything",
    "store-row": "somebody writes into the database who should not, or a backup was restored: it is not what this gateway wrote",
    "frozen": "requests are refused until somebody unfreezes",
    "spool-backlog": "records wait for the ledger: budgets and reports lag behind",
    "breaker-open": "requests go to other deployments until it answers; where there is no other, they fail",
    "deployment-failing": "a deployment that only fails costs each request an attempt, or fails it",
    "export-lost": "what an export did not hand on in time is missing where it should have gone",
    "export-behind": "records wait for an export that nobody runs, beyond their retention too",
    "disk-space": "a full disk refuses new requests",
    "clock": "expiry, prices and records go by the clock",
    "self-test": "a request through every process is the only proof that requests work",
    # credentials, keys
    "credential-sealed-otherwise": "a credential that the KEK does not open serves nothing",
    "credential-refused": "a credential that its provider refuses serves nothing, and requests go elsewhere or fail",
    "credential-old": "a credential that leaked long ago still works",
    "credential-unused-state": "a disabled credential is forgotten easily",
    "key-no-expiry": "a forgotten key works for ever",
    "key-all-models": "a stolen key reaches every model, the dearest too",
    "key-unused": "a key that nobody misses only serves thieves",
    "key-expired": "expired keys clutter the list",
    "token-no-expiry": "a forgotten token works for ever",
    # prices
    "prices-old": "providers change prices: costs drift from invoices",
    "model-unpriced": "what has no price costs nothing in reports, and no budget stops it",
    # this program
    "version-old": "security fixes are in newer versions",
    "version-vulnerable": "this version is known to be vulnerable",
    "dependency-vulnerable": "a library of this gateway is known to be vulnerable",
    "advisories-old": "what was published since is not known here",
    "file-changed": "code on disk is not what was installed: a mistake, or somebody's",
    "file-missing": "code on disk is not what was installed",
    "record-missing": "what is installed without a RECORD cannot be checked",
    "pth-foreign": "a .pth file runs code at every start of Python (so did the stealer in LiteLLM 1.82.8)",
    "sitecustomize": "sitecustomize runs code at every start of Python",
    "packages-writable": "who writes there runs code in the gateway",
    "state-budget": "a budget is about to be spent, and who has it will be refused",
    "online": "the online source was asked and could not answer",
}


def finding(check: str, severity: Severity, title: str, where: str, fix: str, subject: str = "") -> Finding:
    """Return a finding of a check; `subject` tells several of one check apart. Names of files and packages are somebody else's
    text: nothing of them may steer a terminal."""
    assert check in REASONS, check
    return Finding(
        id=clean(f"{check}-{subject}" if subject else check, TEXT_MAX),
        kind=_KINDS.get(check.partition("-")[0], "state"),
        rule=check,
        severity=severity,
        title=clean(title, TEXT_MAX),
        where=clean(where, TEXT_MAX),
        fix=clean(fix, TEXT_MAX),
    )


def vulnerable(packages: Iterable[tuple[str, str]], file: AdvisoryFile) -> Iterator[Finding]:
    """Yield what advisories say of installed packages, (name, version) each."""
    detector = AdvisoryDetector(file)
    for name, version in packages:
        check = "version-vulnerable" if name == "switchgear" else "dependency-vulnerable"
        for match in detector.of_package("pypi", name, version):
            if match.state == "affected":
                title = f"{name} {version}: {match.advisory.summary} ({match.advisory.id})"
                fix = f"update to {match.fixed} or newer" if match.fixed else "see the advisory"
                yield finding(check, match.advisory.severity, title, name, fix, f"{name}-{match.advisory.id}")


_KINDS = {
    "kernel": "confinement", "cell": "confinement", "one": "confinement", "kek": "kek", "folder": "files", "file": "files",
    "data": "exposure", "console": "exposure", "credential": "credentials", "key": "keys", "token": "keys",
    "prices": "prices", "model": "prices", "version": "program", "dependency": "program", "advisories": "program",
    "record": "program", "pth": "program", "sitecustomize": "program", "packages": "program", "online": "program",
}  # fmt: skip
