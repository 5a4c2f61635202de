"""`python -I -m switchgear.app.healthcheck [FOLDER]`: exit 0 while the gateway serves. Level 6, and only the standard library: a
container asks every few seconds. It reads what the supervisor last said; that needs no port, no token and no TLS.
"""

import json
import os
import sys
from pathlib import Path

SERVING = frozenset({"ready", "degraded", "draining"})


def main(arguments: list[str], environ: dict[str, str]) -> int:
    """Return 0 while it serves, 1 otherwise; says why."""
    folder = Path(arguments[0] if arguments else environ.get("SWITCHGEAR_DATA", "/var/lib/switchgear"))
    try:
        said = json.loads((folder / "run" / "status.json").read_bytes())
        os.kill(said["pids"]["supervisor"], 0)
    except PermissionError:
        pass  # it lives, as another user
    except (OSError, ValueError, KeyError, TypeError) as exc:
        sys.stderr.write(f"no gateway runs on {folder}: {type(exc).__name__}\n")
        return 1
    if said["state"] not in SERVING:
        sys.stderr.write(f"the gateway is {said['state']}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
