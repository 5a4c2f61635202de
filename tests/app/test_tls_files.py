"""The pair that edges are given: half of a renewal never replaces it."""

import os
import subprocess

from switchgear.app.tls_files import TlsFiles


def test_a_reload_of_no_pair_keeps_the_pair_in_force(tmp_path, capfd):
    cert, key = tmp_path / "c", tmp_path / "k"
    cert.write_bytes(b"one")
    key.write_bytes(b"two")
    files = TlsFiles(str(cert), str(key))

    def shown():
        fds = files.opened()
        found = [os.read(fd, 100) for fd in fds]
        for fd in fds:
            os.close(fd)
        return found

    assert shown() == [b"one", b"two"]
    cert.write_bytes(b"-----BEGIN half")
    assert files.read_again() is False and shown() == [b"one", b"two"]
    cert.unlink()
    assert files.read_again() is False and shown() == [b"one", b"two"]
    assert "not used" in capfd.readouterr().err


def test_a_new_good_pair_replaces_the_old(tmp_path):
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    files = TlsFiles(str(cert), str(key))
    for fd in files.opened():
        os.close(fd)
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    assert files.read_again() is True
    fds = files.opened()
    content = [os.read(fd, 10_000) for fd in fds]
    for fd in fds:
        os.close(fd)
    assert content == [cert.read_bytes(), key.read_bytes()]
