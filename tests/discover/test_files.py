# switchgear:allow-file: samples of what it finds
import os
import random
import socket
from pathlib import Path

import msgspec
import pytest

from switchgear.detect.finding import Finding, Fingerprint
from switchgear.discover import files
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.files import FileSource
from switchgear.discover.text_scanner import Origins, TextScanner
from switchgear.testing.corpus import expand

TOOLS = DetectorSet.shipped(Fingerprint(b"k" * 32))
RNG = random.Random(11)
GROQ = expand("gsk_<alnum*52>", RNG)
ANTHROPIC = expand("sk-ant-api03-<word*93>AA", RNG)


def scan(root, origins: Origins = frozenset(), **more) -> Collector:
    out = Collector()
    FileSource(TextScanner(TOOLS, out, origins), out, **more).scan(root)
    return out


def made():
    out = Collector()
    return TextScanner(TOOLS, out), out


def of(out: Collector, kind: str) -> list[Finding]:
    return [f for f in out.findings() if f.kind == kind]


def test_a_key_in_a_file_is_found_with_its_place_and_masked(tmp_path):
    (tmp_path / ".env").write_text(f"A=1\nGROQ_API_KEY={GROQ}\n")
    (found,) = of(scan(tmp_path), "key")
    assert (found.rule, found.provider, found.verdict, found.where) == ("groq", "groq", "bypass", f"{tmp_path}/.env:2")
    assert found.evidence["key"] == f"gsk_…{GROQ[-4:]}"
    assert GROQ[4:-4] not in msgspec.json.encode(found).decode()


def test_ids_are_stable_and_do_not_depend_on_lines(tmp_path):
    (tmp_path / "a.py").write_text(f"x = '{GROQ}'\n")
    first = {f.id for f in scan(tmp_path).findings()}
    (tmp_path / "a.py").write_text(f"# more\n\nx = '{GROQ}'\n")
    assert {f.id for f in scan(tmp_path).findings()} == first


def test_a_file_of_samples_may_say_so_and_is_counted(tmp_path):
    (tmp_path / "a.py").write_text(f"# switchgear:allow-file\nx = '{GROQ}'\n")
    (tmp_path / "b.py").write_text("#" * 5000 + f" switchgear:allow-file\nx = '{GROQ}'\n")
    out = scan(tmp_path)
    assert len(of(out, "key")) == 1 and out.skipped["files that say switchgear:allow-file"] == 1


def test_files_of_windows_are_read(tmp_path):
    (tmp_path / "a.env").write_bytes(f"GROQ_API_KEY={GROQ}\r\n".encode("utf-16"))
    assert [f.rule for f in of(scan(tmp_path), "key")] == ["groq"]


@pytest.mark.parametrize("at", [0, 10, 4096, 8191, 8192, 50_000])
def test_keys_at_the_cut_between_pieces_are_seen_once(tmp_path, monkeypatch, at):
    monkeypatch.setattr(files, "PIECE", 65_536)
    for shift in (-120, -60, -5, 0, 5):
        offset = 65_536 + shift
        (tmp_path / "a.txt").write_bytes(b"x" * (offset - 1) + b" " + GROQ.encode() + b" " + b"y" * at)
        assert [f.count for f in of(scan(tmp_path), "key")] == [1], (shift, at)
        lines = b"line\n" * (offset // 5) + GROQ.encode() + b"\n" + b"z\n" * at
        (tmp_path / "a.txt").write_bytes(lines)
        (found,) = of(scan(tmp_path), "key")
        assert found.count == 1 and found.where.endswith(f":{offset // 5 + 1}")


# bad input


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path, monkeypatch):
    (tmp_path / "good.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    (tmp_path / "bad.env").write_text("x")
    opened = os.open

    def refuse(path, *more, **options):
        if str(path).endswith("bad.env"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *more, **options)

    monkeypatch.setattr(files.os, "open", refuse)
    out = scan(tmp_path)
    assert len(of(out, "key")) == 1 and out.partial
    assert [(p.where, p.reason) for p in out.problems] == [(f"{tmp_path}/bad.env", "Permission denied")]


def test_a_missing_path_is_partial(tmp_path):
    out = scan(tmp_path / "none")
    assert out.partial and out.findings() == []


def test_binary_files_links_pipes_and_dependencies_are_counted_and_left_out(tmp_path):
    (tmp_path / "a.bin2").write_bytes(b"\0" + GROQ.encode())
    (tmp_path / "b.png").write_text(GROQ)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "c.js").write_text(GROQ)
    os.symlink("/etc/passwd", tmp_path / "link")
    os.symlink(tmp_path, tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    out = scan(tmp_path)
    sock.close()
    assert out.findings() == [] and not out.partial
    assert (
        out.skipped["binary files"] == 2
        and out.skipped["links"] == 2
        and out.skipped["devices, pipes and sockets"] == 2
    )


def test_a_sparse_file_beyond_the_bound_is_named(tmp_path):
    with open(tmp_path / "huge.txt", "wb") as file:
        file.truncate(1 << 40)
    out = scan(tmp_path)
    assert out.partial and "--max-file-size" in out.problems[0].reason


def test_endless_lines_of_binary_like_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff" * 300_000 + GROQ.encode() + b"\xfe" * 300_000 + b" " + GROQ.encode())
    assert [f.rule for f in of(scan(tmp_path), "key")] == ["groq"]


def test_folders_deeper_than_the_bound_are_not_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DEPTH_MAX", 5)
    folder = tmp_path
    for _ in range(8):
        folder = folder / "d"
        folder.mkdir()
    assert scan(tmp_path).partial


def test_names_that_would_break_a_terminal_are_made_harmless(tmp_path):
    (tmp_path / "a\x1b[31m\n.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    (found,) = of(scan(tmp_path), "key")
    assert "\x1b" not in found.where and "\n" not in found.where


def test_hostile_text_is_read_in_linear_time(tmp_path):
    texts = (
        b"kind: Secret" + b"\n" * 4_000_000,
        b"kind: Secret\n" + b" " * 4_000_000,
        b"api_key" * 500_000,
        b"https://" * 400_000,
    )
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_bytes(text)
    assert not scan(tmp_path).partial  # the suite's own bound of time would end it


def test_names_that_are_not_utf8_are_looked_at_and_shown_by_their_bytes(tmp_path):
    base = os.fsencode(tmp_path)
    os.mkdir(base + b"/\xc3(")
    for name in (b"\xff\xfe.env", b"\xc3(/a.env", "ü.env".encode()):
        with open(base + b"/" + name, "w") as file:
            file.write(f"GROQ_API_KEY={expand('gsk_<alnum*52>', random.Random(5))}\n")
    scanner, out = made()
    FileSource(scanner, out).scan(tmp_path)
    wheres = {f.where.removeprefix(f"{tmp_path}/") for f in out.findings() if f.kind == "key"}
    assert wheres == {"\\xff\\xfe.env:1", "\\xc3(/a.env:1", "ü.env:1"}
    assert not out.partial


def test_a_folder_that_is_named_so_may_be_asked_for(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(name)
    scanner, out = made()
    FileSource(scanner, out).scan(Path(name))
    FileSource(scanner, out).scan(Path(name + "/gone"))
    assert [p.where for p in out.problems] == [f"{tmp_path}/\\xff/gone"]


def test_a_fault_ends_one_file_or_line_and_is_named_without_its_words(tmp_path):
    for name in ("a.env", "b.env", "c.env"):
        key = expand("gsk_<alnum*52>", random.Random(name))
        (tmp_path / name).write_text(f"GROQ_API_KEY={key}\nx\nGROQ_API_KEY={key}\n")
    scanner, out = made()
    reported = scanner.key

    def fails(hit, shown, where):
        if where.endswith("b.env:1"):
            raise KeyError("a secret")
        reported(hit, shown, where)

    scanner.key = fails
    FileSource(scanner, out).scan(tmp_path)
    assert len(out.findings()) == 3
    (problem,) = out.problems
    assert problem.where.endswith("b.env:1") and "KeyError" in problem.reason and "a secret" not in problem.reason


@pytest.mark.parametrize("here", ["..", "x", "."])
def test_a_finding_has_one_id_however_its_folder_is_named(tmp_path, monkeypatch, here):
    place = tmp_path / "x" / "y"
    place.mkdir(parents=True)
    (place / ".env").write_text(f"GROQ_API_KEY={GROQ}\nB=https://api.openai.com/v1\n")
    monkeypatch.chdir(tmp_path if here != "x" else tmp_path / "x")
    root = tmp_path / "x" if here != "x" else place
    relative = root.relative_to(Path.cwd())
    names = [Path(f"./{relative}"), relative, root, Path(f"{relative}/../{relative.name}"), Path(f"{relative}/")]
    if here == ".":
        monkeypatch.chdir(root)
        names = [Path("."), root, Path("../x")]
    found = [{(f.id, f.where) for f in scan(name).findings()} for name in names]
    assert len(found[0]) == 2 and all(other == found[0] for other in found)
    assert not any(where.startswith((".", "/")) and not where.startswith(".env") for _, where in found[0])


def test_a_folder_elsewhere_is_named_whole(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    monkeypatch.chdir(tmp_path / "a")
    assert {f.where for f in scan(Path("..")).findings()} == {f"{tmp_path}/b.env:1"}
