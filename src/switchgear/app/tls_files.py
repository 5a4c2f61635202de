"""The certificate and the key that edges are given. Level 6."""

import os
import subprocess
import sys

from switchgear.app.environment import clean_environment
from switchgear.app.report import report

TLS_BYTES_MAX = 4 * 1024 * 1024


class TlsFiles:
    """The pair in force, copied by the kernel into anonymous files: what stands on disk may be half of a renewal, and is read
    at the start and at SIGHUP only. The supervisor itself reads neither (docs/invariants.md P6)."""

    def __init__(self, cert: str, key: str) -> None:
        self._paths = (cert, key) if cert else ()
        self._fds: tuple[int, ...] = ()

    def opened(self) -> tuple[int, ...]:
        """Return descriptors of certificate and key, at their beginnings; close them after use. Raises OSError."""
        if not self._fds:
            self._fds = tuple(_copy(path) for path in self._paths)
        return tuple(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC) for fd in self._fds)

    def read_again(self) -> bool:
        """Take what stands on disk now; False, and the old pair stays, when that is no pair."""
        made: list[int] = []
        try:
            made += [_copy(path) for path in self._paths]
            _check_pair(*(f"/proc/self/fd/{fd}" for fd in made))
        except (OSError, ValueError) as exc:
            for fd in made:
                os.close(fd)
            report(f"the new TLS files are not used: {exc}", "error")
            return False
        old, self._fds = self._fds, tuple(made)
        for fd in old:
            os.close(fd)
        return True


def _copy(path: str) -> int:
    fd = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            size = min(os.fstat(source).st_size, TLS_BYTES_MAX)
            while (done := os.lseek(fd, 0, os.SEEK_END)) < size and os.sendfile(fd, source, done, size - done):
                pass
        finally:
            os.close(source)
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_pair(cert: str, key: str) -> None:
    """Raise OSError or ValueError for what is no pair. A process of its own looks: it forgets the key when it ends."""
    code = "import ssl, sys; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*sys.argv[1:])"
    fds = [int(path.rpartition("/")[2]) for path in (cert, key)]
    done = subprocess.run(  # noqa: S603  our own interpreter, no shell
        [sys.executable, "-I", "-c", code, cert, key],
        check=False,
        capture_output=True,
        text=True,
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        env=clean_environment(os.environ),
        timeout=30,
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or "they are no pair")
