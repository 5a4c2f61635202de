"""What a configuration is read from now. Level 2.

`python -m switchgear.config_files.watch FILE` prints it as JSON: the supervisor, which parses no YAML itself, runs it when a
file changed.
"""

import os
import sys

import msgspec

from switchgear.config.parts import Parts
from switchgear.config.reader import Reader
from switchgear.config_files.files import Disk
from switchgear.config_files.sources import Sources, digest


def watch(path: str) -> Sources:
    """Return what a configuration is read from now, and its digest: empty when it cannot be read."""
    reader = Reader(lambda kind, name: None, without_secrets=True)
    parts = Parts(reader, Disk())
    try:
        parts.gather(path)
    except ValueError:
        return Sources(files=[path], patterns=[], digest="")
    return sources_of(parts)


def sources_of(parts: Parts) -> Sources:
    """Return what was read, with paths that do not depend on the working folder."""
    files, patterns = (sorted(map(whole, paths)) for paths in (parts.files, parts.patterns))
    return Sources(files=files, patterns=patterns, digest=digest(parts.files.items()))


def whole(path: str) -> str:
    """Return a path as Path.absolute does, without dots; links stay."""
    return os.path.abspath(path)  # noqa: PTH100


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(watch(sys.argv[1])))
