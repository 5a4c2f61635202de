"""`python -I -m switchgear.app.vault_init DATA KEK_PATH KEK_FD`: makes the KEK and writes the public key. Level 6."""

import os
import sys
from pathlib import Path

from switchgear.app import vault
from switchgear.app.layout import Layout
from switchgear.core.errors import UserError
from switchgear.vault import kek


def main() -> int:
    """Do it, or say why not."""
    layout, path, fd = Layout(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    try:
        if fd >= 0:
            keys = kek.KeyPair(kek.read_fd(fd, "given"))
            os.lseek(fd, 0, os.SEEK_SET)
            vault.write_public(layout, keys, "", "")
        else:
            vault.init(layout, Path(path))
    except (UserError, OSError) as exc:
        sys.stderr.write(str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
