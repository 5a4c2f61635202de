"""The key-encryption key: one file of 32 random bytes that opens everything. Level 3 (docs/invariants.md C5).

The HPKE key pair is derived from it with HKDF, one label per purpose, so the file is all that has to be kept safe.
"""

import os
import shlex
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchgear.core.errors import UserError
from switchgear.core.ids import Entropy
from switchgear.core.secret import Secret

KEK_BYTES = 32
KEK, COURIER = "KEK", "courier's key"
"""What a file of this form is, for messages."""


def create(path: Path, entropy: Entropy, what: str = KEK) -> None:
    """Make a KEK file, mode 0600, or another key's of this form (`what`). An existing file is never replaced: raises
    FileExistsError; UserError where none can be."""
    hint = "name another place with --kek-file"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise UserError(f"the folder of the {what} file {path} cannot be made: {exc.strerror}", hint, 2) from None
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise
    except OSError as exc:
        raise UserError(f"the {what} file {path} cannot be made: {exc.strerror}", hint, 2) from None
    try:
        os.write(fd, entropy(KEK_BYTES).hex().encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path: Path, what: str = KEK) -> Secret:
    """Read a KEK file. Raises UserError when it is missing, too open, or not a KEK."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UserError(
            f"the {what} file {path} is missing, and what is sealed for it cannot be opened",
            "restore the file, or name its place with --kek-file",
            2,
        ) from None
    except OSError as exc:
        raise UserError(f"the {what} file {path} cannot be read: {exc.strerror}", "", 2) from None
    try:
        return read_fd(fd, str(path), check_mode=True, what=what)
    finally:
        os.close(fd)


def read_fd(fd: int, name: str, check_mode: bool = False, what: str = KEK) -> Secret:
    """Read a KEK from an open descriptor. Raises UserError."""
    info = os.fstat(fd)
    if check_mode:
        if not stat.S_ISREG(info.st_mode):
            raise UserError(f"the {what} file {name} is not a plain file", "name the file itself with --kek-file", 2)
        if info.st_uid not in {0, os.geteuid()}:
            raise UserError(f"the {what} file {name} belongs to another user", "make it yours: chown", 2)
        if info.st_mode & 0o007 or (info.st_mode & 0o070 and info.st_gid not in {os.getegid(), *os.getgroups()}):
            raise UserError(
                f"the {what} file {name} can be read by other users", f"run: chmod 600 {shlex.quote(name)}", 2
            )
    try:
        text = os.read(fd, 4096).strip()
    except OSError as exc:
        raise UserError(f"the {what} {name} cannot be read: {exc.strerror}", "", 2) from None
    try:
        value = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        value = b""
    if len(value) != KEK_BYTES:
        raise UserError(f"the {what} file {name} must hold 64 hex digits", "restore it from your copy", 2)
    return Secret(value)


class KeyPair:
    """The HPKE key pair of a KEK: ML-KEM-768 + X25519, so that a stolen backup stays closed to later machines."""

    def __init__(self, kek: Secret) -> None:
        seed = _derive(kek, b"switchgear/hpke/mlkem768/1", 64)
        scalar = _derive(kek, b"switchgear/hpke/x25519/1", 32)
        kem, curve = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed), x25519.X25519PrivateKey.from_private_bytes(scalar)
        self.private = MLKEM768X25519PrivateKey(kem, curve)
        self.public = PublicKey(kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw())
        self.fingerprint_key = _derive(kek, b"switchgear/fingerprint/1", 32)


class PublicKey:
    """What anybody may hold to seal: 1184 bytes of ML-KEM-768 and 32 of X25519."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 1216:
            raise UserError("the vault's public key is damaged", "restart the gateway: the vault writes it anew", 1)
        self.raw = raw
        self.key = MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(raw[:1184]), x25519.X25519PublicKey.from_public_bytes(raw[1184:])
        )

    @property
    def kek_id(self) -> str:
        """Names the KEK in each blob."""
        digest = HKDF(SHA256(), 8, None, b"switchgear/kek-id/1")
        return digest.derive(self.raw).hex()


def _derive(kek: Secret, label: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, None, label).derive(kek.reveal())
