"""The keys of the vault at a start: where the KEK comes from, and the public key that is made of it. Level 6."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from switchgear.app.environment import clean_environment
from switchgear.app.layout import Layout, default_kek_path, kek_stamp
from switchgear.app.options import Options
from switchgear.core.errors import UserError
from switchgear.vault.kek import PublicKey
from switchgear.vault.public_key import PublicKeyFile


def find_kek(options: Options, layout: Layout, environ: dict[str, str]) -> tuple[Path | None, int]:
    """Return the KEK's file, or None and the descriptor that was given. Raises UserError."""
    if options.kek_credential is not None:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise UserError("--kek-credential needs a systemd service with LoadCredential", "see docs/operations.md", 2)
        options.kek_file = Path(folder) / options.kek_credential
    if options.kek_fd is not None:
        try:
            os.fstat(options.kek_fd)
        except OSError:
            raise UserError(
                f"--kek-fd {options.kek_fd} is not open", "e.g. switchgear serve --kek-fd 3 3< FILE", 2
            ) from None
        return None, options.kek_fd
    path = (options.kek_file or default_kek_path(environ)).absolute()
    box = layout.vault / "box"
    if not path.exists() and box.exists():
        raise UserError(
            f"the KEK file {path} is missing, and {layout.data} holds credentials that only it can open",
            "restore it from your copy, or name its place with --kek-file",
            2,
        )
    if path.exists():
        from switchgear.vault import kek  # noqa: PLC0415

        kek.read(path)  # says what is wrong with it; the value is dropped, and this process is about to be replaced
    return path, -1


def ensure_public_key(layout: Layout, path: Path | None, kek_fd: int) -> None:
    """Have the vault's code write the public key, in a process of its own, unless it stands there already."""
    stamp = kek_stamp(path) if path is not None and path.exists() else ""
    if stamp and layout.public_key.exists():
        file = msgspec.json.decode(layout.public_key.read_bytes(), type=PublicKeyFile)
        if file.kek_path == str(path) and file.kek_stamp == stamp:
            return
    arguments = [str(layout.data), str(path) if path is not None else "-", str(kek_fd)]
    command = [sys.executable, "-I", "-m", "switchgear.app.vault_init", *arguments]
    done = subprocess.run(  # noqa: S603  our own interpreter and module, no shell
        command,
        check=False,
        capture_output=True,
        text=True,
        pass_fds=[kek_fd] if kek_fd >= 0 else [],
        env=clean_environment(os.environ),
    )
    if done.returncode != 0:
        raise UserError(done.stderr.strip() or "the vault could not be prepared", "", 2)


def show_public_key(layout: Layout, public: PublicKey) -> None:
    """Leave the vault's public key where control can read it, and not write it: for `credential add --server`."""
    new = layout.shown_key.with_name("vault.pub.new")
    new.write_bytes(public.raw)
    new.chmod(0o640)  # its group is control's, as that of the folder
    new.rename(layout.shown_key)
