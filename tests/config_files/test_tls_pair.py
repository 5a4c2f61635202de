"""Certificates and keys are looked at before anything starts."""

import subprocess

from switchgear.config_files.load import check_config
from switchgear.config_files.tls_pair import tls_problem


def certificate(folder, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
         "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def test_a_pair_that_cannot_be_used_is_refused_with_the_reason(tmp_path):
    cert, key = certificate(tmp_path, "a")
    _, other = certificate(tmp_path, "b")
    assert tls_problem(cert, key) is None
    assert "the key is not that of the certificate" in tls_problem(cert, other)
    assert "does not exist" in tls_problem(str(tmp_path / "gone"), key)
    subprocess.run(["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", key, "-out", f"{key}.enc"], check=True,
                   capture_output=True)  # fmt: skip
    assert "passphrase" in tls_problem(cert, f"{key}.enc")
    path = tmp_path / "switchgear.yaml"
    path.write_text("listen: {tls: {cert: a.pem, key: b.key}}")
    assert len(check_config(path, {}).problems) == 1
