"""`python -I -m switchgear.app ROLE FD`: how the supervisor starts its children. Level 6."""

import importlib
import sys

from switchgear.app import child
from switchgear.app.boot import Boot, from_fd
from switchgear.core.errors import UserError

ROLES = frozenset({"edge", "vault", "control", "demo"})


def main() -> int:
    """Run one child."""
    role, fd = sys.argv[1], int(sys.argv[2])
    if role not in ROLES:
        return 2
    boot = from_fd(fd, Boot)
    child.harden()
    module = importlib.import_module(f"switchgear.app.{role}")
    try:
        child.run(module.main, boot)
    except UserError as exc:
        child.report(str(exc) + (f"\n  {exc.hint}" if exc.hint else ""))
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
