"""Processes that kill themselves at named places.

`python -I failpoints.py serve SEED ARGUMENTS…` is `switchgear serve ARGUMENTS…`, but that each child, at every start, may choose
one of its places and die there with SIGKILL after some visits. Nothing of this is in the product: functions are wrapped from here.
"""

import importlib
import os
import random
import signal
import sys
from pathlib import Path

HERE = str(Path(__file__).resolve())
CHANCE = 0.6
"""How many starts choose a place; the others live until somebody else kills them."""

# place: (module, name in it, most visits). Each is tried before and after the function.
PLACES = {
    "edge": {
        "spool write": ("switchgear.spool.writer", "SpoolWriter.commit", 600),
        "link flush": ("switchgear.net.link", "LinkClient.flush", 600),
        "reserve": ("switchgear.edge.settle", "reserve", 200),
        "settle": ("switchgear.edge.settle", "settle", 200),
        "provider's first byte": ("switchgear.edge.transfer", "Transfer.on_response", 200),
        "segment begins": ("switchgear.spool.writer", "SpoolWriter._start_segment", 4),
        "segment prepared": ("switchgear.spool.writer", "SpoolWriter._prepare_next", 4),
        "spool sync": ("switchgear.spool.writer", "SpoolWriter.sync", 40),
    },
    "vault": {
        "journal write": ("switchgear.spool.writer", "SpoolWriter.commit", 800),
        "bytes to the provider": ("switchgear.vault.attempt", "UpstreamAttempt.send", 300),
        "provider's bytes": ("switchgear.vault.attempt", "UpstreamAttempt.on_data", 600),
        "frames to an edge": ("switchgear.vault.link", "VaultSideLink.flush", 600),
        "fence": ("switchgear.vault.service", "VaultService.fence", 1),
        "box fsync": ("switchgear.vault.box", "Box._save", 3),
        "box file": ("switchgear.spool.files", "sync_folder", 8),
    },
    "control": {
        "records added": ("switchgear.store.ledger_rows", "add_requests", 20),
        "sums added": ("switchgear.store.ledger_rows", "add_usage", 20),
        "ingest commit": ("switchgear.ledger.ingest", "SpoolIngester.commit_to", 20),
        "segment unlink": ("switchgear.ledger.ingest", "SpoolIngester.drop_finished", 20),
        "replica publish": ("switchgear.replica.publisher", "Publisher.put_snapshot", 2),
        "key published": ("switchgear.replica.publisher", "Publisher.put_key", 3),
        "key stored": ("switchgear.store.objects", "_put_secrets", 3),
    },
}


def arm(role, seed):
    """Choose a place, or none, for this life."""
    chance = random.Random(seed)
    places = PLACES.get(role)
    if places is None or chance.random() > CHANCE:
        return
    place = chance.choice(sorted(places))
    module_name, path, most = places[place]
    owner = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function, before, left = getattr(owner, name), chance.random() < 0.5, [chance.randint(1, most)]

    def die():
        os.write(2, f"failpoint: {role}: {'before' if before else 'after'} {place}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(*arguments, **more):
        left[0] -= 1
        if left[0] == 0 and before:
            die()
        found = function(*arguments, **more)
        if left[0] == 0:
            die()
        return found

    setattr(owner, name, wrapped)


def child(seed, role, fd):
    from switchgear.app import __main__ as entry

    lock = entry.cell.lock

    def lock_and_arm(*arguments):
        arm(role, seed)
        return lock(*arguments)

    entry.cell.lock = lock_and_arm
    sys.argv = ["switchgear.app", role, fd]
    return entry.main()


def supervise(seed, fd):
    from switchgear.app import supervisor

    popen, starts = supervisor.subprocess.Popen, [0]

    def start(command, **more):
        if "switchgear.app" in command:
            starts[0] += 1
            command = [sys.executable, "-I", HERE, "child", f"{seed}:{starts[0]}", *command[-2:]]
        return popen(command, **more)

    supervisor.subprocess.Popen = start
    sys.argv = ["switchgear.app.supervisor", fd]
    return supervisor.main()


def serve(seed, *arguments):
    from switchgear.app import supervisor
    from switchgear.cli import __main__ as cli

    def re_exec(state, environ):
        state.segment_bytes = 262_144  # so that segments come and go
        fd = supervisor.boots.to_fd(state)
        for keep in (fd, state.lock_fd, *state.data_fds, *state.console_fds):
            os.set_inheritable(keep, True)
        command = [sys.executable, "-I", HERE, "supervise", f"{seed}:{os.getpid()}", str(fd)]
        os.execve(sys.executable, command, supervisor.clean_environment(environ))

    supervisor.re_exec = re_exec
    sys.argv = ["switchgear", *arguments]
    cli.main()


if __name__ == "__main__":
    sys.exit({"serve": serve, "supervise": supervise, "child": child}[sys.argv[1]](*sys.argv[2:]))
