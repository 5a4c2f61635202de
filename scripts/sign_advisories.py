"""Sign an advisory file for `switchgear doctor --advisories`, or make a key pair for it.

python scripts/sign_advisories.py new-key publisher            # publisher.key (keep it offline), publisher.pub
python scripts/sign_advisories.py sign advisories.json publisher.key feed.json
"""

import base64
import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from switchgear.detect import advisories


def main() -> None:
    """Do what the arguments say."""
    if sys.argv[1:2] == ["new-key"] and len(sys.argv) == 3:
        seed = os.urandom(32)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        fd = os.open(f"{sys.argv[2]}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(seed.hex() + "\n")
        Path(f"{sys.argv[2]}.pub").write_text(public.hex() + "\n")
    elif sys.argv[1:2] == ["sign"] and len(sys.argv) == 5:
        payload = Path(sys.argv[2]).read_bytes()
        found = advisories.read(payload, sys.argv[2])
        signature = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(Path(sys.argv[3]).read_text().strip())).sign(
            payload
        )
        signed = {"payload": base64.b64encode(payload).decode(), "signature": base64.b64encode(signature).decode()}
        Path(sys.argv[4]).write_text(json.dumps(signed) + "\n")
        print(f"signed sequence {found.sequence} of {found.as_of}, expires {found.expires}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
