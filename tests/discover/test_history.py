import os
import random
import subprocess

import pytest

from switchgear.detect.finding import Fingerprint
from switchgear.discover import history
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.text_scanner import TextScanner
from switchgear.testing.corpus import expand

TOOLS = DetectorSet.shipped(Fingerprint(b"k" * 32))
GROQ = expand("gsk_<alnum*52>", random.Random(3))


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
    )


def scan(folder) -> Collector:
    out = Collector()
    history.scan(folder, TextScanner(TOOLS, out), out)
    return out


def test_a_key_that_was_removed_is_still_found(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.env").write_text(f"one\nGROQ_API_KEY={GROQ}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    (tmp_path / "a.env").write_text("GROQ_API_KEY=\n")
    (tmp_path / "b.bin").write_bytes(b"\0" + GROQ.encode())
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "y")
    out = scan(tmp_path)
    (found,) = out.findings()
    assert found.rule == "groq" and "a.env:2 (in git, object " in found.where
    assert not out.partial and out.looked_at["versions in git history"] >= 2


def test_hooks_and_settings_of_the_repository_run_nothing(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    trap = f"touch {tmp_path}/ran"
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "diff.external", "core.editor"):
        git(tmp_path, "config", name, trap)
    git(tmp_path, "config", "filter.x.smudge", trap)
    (tmp_path / ".gitattributes").write_text("* filter=x diff=x\n")
    assert not scan(tmp_path).partial
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_git_is_partial(tmp_path):
    out = scan(tmp_path)
    assert out.partial and "git cannot read" in out.problems[0].reason


def test_a_damaged_repository_is_partial(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    for path in (tmp_path / ".git" / "objects").glob("??/*"):
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    assert scan(tmp_path).partial


def test_a_git_that_stops_in_the_middle_is_partial(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    for number in range(3):
        (tmp_path / f"{number}.env").write_text(f"GROQ_API_KEY={GROQ}{number}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase "$*" in *cat-file*) exit 1;; esac\nexec /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/ git "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/local/bin:/usr/bin:/bin")
    assert scan(tmp_path).partial


def test_a_git_that_never_answers_is_partial(tmp_path, monkeypatch):
    def slow(*_, **__):
        raise subprocess.TimeoutExpired("git", 600)

    monkeypatch.setattr(history.subprocess, "run", slow)
    assert scan(tmp_path).partial


REMOTES = {
    "file": "file://{folder}/gone",
    "path": "{folder}/gone",
    "ext": "ext::sh -c touch% {folder}/ran",
    "ssh": "ssh://h/x",
    "http": "http://127.0.0.1:9/x",
    "git": "git://127.0.0.1:9/x",
    "helper": "evil::x",
}


@pytest.mark.parametrize("old", [False, True], ids=["git", "git-that-fetches-lazily"])
@pytest.mark.parametrize("remote", REMOTES)
def test_a_partial_clone_fetches_nothing_and_runs_nothing_to_do_so(tmp_path, monkeypatch, remote, old):
    """A repository names what git runs to get a missing object; every way is allowed by its own configuration."""
    folder = tmp_path / "r"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    (folder / "b.env").write_text("missing")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "x")
    trap = f"touch {tmp_path}/ran"
    missing = subprocess.run(["git", "-C", folder, "hash-object", "b.env"], capture_output=True, text=True, check=True)
    oid = missing.stdout.strip()
    (folder / ".git/objects" / oid[:2] / oid[2:]).unlink()
    (tmp_path / "bin").mkdir()
    for name, text in {
        "git-remote-evil": f"#!/bin/sh\n{trap}\n",
        # As a git that does not know the variable.
        "git": '#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec /usr/bin/git "$@"\n'
        if old
        else '#!/bin/sh\nexec /usr/bin/git "$@"\n',
    }.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    settings = {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "remote.origin.url": REMOTES[remote].format(folder=tmp_path),
        "remote.origin.uploadpack": f"sh -c '{trap}' #",
        "core.sshCommand": trap,
        "core.gitProxy": f"{tmp_path}/proxy",
        "core.alternateRefsCommand": trap,
        "credential.helper": f"!{trap}",
        "protocol.allow": "always",
        **{f"protocol.{name}.allow": "always" for name in ("file", "ext", "ssh", "http", "git", "evil")},
        "url.file:///.insteadOf": "x:",
        "alias.rev-list": f"!{trap}",
        "core.fsmonitor": trap,
        "core.pager": trap,
    }
    for name, value in settings.items():
        git(folder, "config", name, value)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin")
    out = scan(folder)
    assert not (tmp_path / "ran").exists()
    assert out.partial, "and the missing object is named"


def test_an_older_git_is_not_let_near_a_repository(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *version*) echo git version 2.11.0; exit;; esac\ntouch {tmp_path}/ran\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    out = scan(tmp_path)
    assert out.partial and "2.30 or newer" in out.problems[0].reason
    assert not (tmp_path / "ran").exists()


def test_names_in_history_that_are_not_utf8_are_looked_at(tmp_path):
    git(tmp_path, "init", "-q")
    with open(os.fsencode(tmp_path) + b"/\xff\xfe.env", "w") as file:
        file.write(f"GROQ_API_KEY={GROQ}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    out = scan(tmp_path)
    assert [f.rule for f in out.findings()] == ["groq"] and not out.partial
