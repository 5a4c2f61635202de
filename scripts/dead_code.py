"""Lists what nobody uses: functions, methods, classes, constants, private attributes that are set and never read.

python scripts/dead_code.py        exit 1 when there is any

Vulture reads the names; what tests alone use counts as unused, except in `testing/`. Fields of structs are left out: they
are read by decoders. KEPT has what others call by name, with the reason.
"""

import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parent.parent
DECORATORS = ["@*.command", "@*.group", "@migration"]
KEPT = {
    # asyncio, httptools, uvicorn, click, pytest and http.server call these
    *(
        "pause_writing",
        "resume_writing",
        "on_message_begin",
        "on_url",
        "on_header",
        "on_headers_complete",
        "on_message_complete",
    ),
    *("main_loop", "capture_signals", "format_commands", "get_metavar", "do_POST", "log_message"),
    *(
        "eof_received",
        "datagram_received",
        "error_received",
        "on_chunk_header",
        "on_chunk_complete",
        "pytest_collectstart",
        "pytest_runtest_protocol",
    ),
    "_writing",  # holds a task, which the loop alone would let go
    "downgrade",  # Alembic's
    "_Iteration",  # named in a quoted annotation
    *("MAKE_DIR", "REMOVE_DIR", "REFER"),  # the kernel's table, whole
    *("CEILINGS", "GROWTH_MAX", "CHECKS", "DENIED", "VERBS"),  # tables that tests hold the program to
    # limits, budgets and counters, until requests go through them: this line goes then
    *(
        "ADMISSION_US",
        "boot_id",
        "forget_balances",
        "stuck",
        "MemoryCounters",
        "Rebuild",
        "balance",
        "is_settled",
        "correct",
    ),
    *("note_distance", "suspend", "bucket_of", "is_spent", "is_overrun", "tightest", "TrustedTime", "Periods"),
    *("list_requests", "count_requests", "REQUEST_COLUMNS"),  # how tests read the store
}


def is_reported(item):
    """Tell whether an item is of a kind that can be judged by its name."""
    if item.typ in {"function", "method", "class", "property", "import", "unreachable_code"}:
        return True
    if item.typ == "variable":
        return item.name.lstrip("_").isupper()
    return item.typ == "attribute" and item.name.startswith("_")


def unused():
    """Return (path, line, kind, name) of what nobody uses."""
    code = Vulture(ignore_decorators=DECORATORS)
    code.scavenge([str(ROOT / "src"), str(ROOT / "scripts")])
    return [
        (item.filename.relative_to(ROOT), item.first_lineno, item.typ, item.name)
        for item in code.get_unused_code()
        if is_reported(item) and item.name not in KEPT and "testing" not in item.filename.parts
    ]


def main():
    rows = unused()
    for path, line, kind, name in rows:
        print(f"{path}:{line}: nobody uses the {kind} {name}")
    return 1 if rows else 0


if __name__ == "__main__":
    sys.exit(main())
