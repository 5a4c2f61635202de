"""Whether a certificate and a key can be used. Level 2."""

from switchgear.config_files.files import REFERENCE_BYTES_MAX, read_bytes


def tls_problem(cert: str, key: str) -> str | None:
    """Say why a certificate and its key cannot be used; None when they can."""
    import ssl  # noqa: PLC0415  few commands need it

    for path in (cert, key):
        try:
            read_bytes(path, REFERENCE_BYTES_MAX)
        except ValueError as exc:
            return f"the file {path} {exc}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as exc:
        return f"{cert} and {key} cannot be used: {_openssl(exc)}"
    return None


def _no_password() -> str:
    raise ValueError("the key is encrypted with a passphrase, and nobody can be asked for it")


def _openssl(exc: Exception) -> str:
    reason = getattr(exc, "reason", None)
    told = {
        "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
        "NO_START_LINE": "no PEM block is in them",
    }
    return told.get(str(reason), str(exc)) if reason else str(exc)
