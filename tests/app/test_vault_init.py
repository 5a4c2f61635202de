"""The short process that makes the key-encryption key."""

import json
import os
import subprocess
import sys

from switchgear.app.layout import Layout


def run(data, path, fd=-1, **more):
    Layout(data).public_key.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "switchgear.app.vault_init", str(data), str(path), str(fd)],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_C5_a_new_kek_has_256_bits_and_mode_0600_and_a_second_run_keeps_the_first(tmp_path):
    path = tmp_path / "kek"
    assert run(tmp_path / "data", path).returncode == 0
    secret = path.read_bytes()
    assert (len(bytes.fromhex(secret.decode())), path.stat().st_mode & 0o777) == (32, 0o600)
    assert run(tmp_path / "data", path).returncode == 0
    assert path.read_bytes() == secret


def test_a_key_from_a_descriptor_gives_the_same_public_key_and_can_be_read_again(tmp_path):
    path = tmp_path / "kek"
    run(tmp_path / "a", path)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert run(tmp_path / "b", "", fd, pass_fds=(fd,)).returncode == 0
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)
    first, second = (json.loads(Layout(tmp_path / name).public_key.read_bytes()) for name in "ab")
    assert [first[name] for name in ("kek_id", "raw") if name in first] == [
        second[name] for name in ("kek_id", "raw") if name in second
    ]
    assert Layout(tmp_path / "b").public_key.stat().st_mode & 0o777 == 0o644


def test_a_damaged_key_is_one_line_and_exit_1(tmp_path):
    path = tmp_path / "kek"
    path.write_bytes(b"short")
    path.chmod(0o600)
    answer = run(tmp_path / "data", path)
    assert answer.returncode == 1 and "Traceback" not in answer.stderr and str(path) in answer.stderr
