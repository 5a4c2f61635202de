"""CPU of commands, of their help, and of a TAB: user and system time of the whole process, the least of ten runs.

python scripts/command_cpu.py [DATA]: with the folder of a running gateway, commands get answers.
"""

import os
import resource
import subprocess
import sys

COMMANDS = (
    "--help",
    "version",
    "status",
    "key list",
    "log list",
    "usage",
    "model list",
    "provider list",
    "credential list",
    "price list",
    "token list",
    "findings list",
    "connect claude-code",
    "config export",
    "key --help",
    "discover --help",
    "doctor --help",
)
TABS = (
    "switchgear ",
    "switchgear key ",
    "switchgear key show ",
    "switchgear log list --outcome ",
    "switchgear discover --",
)
RUNS = 10


def cpu_ms(arguments: list[str], environ: dict[str, str]) -> float:
    """Run a command; returns the least CPU time in milliseconds."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "switchgear.cli", *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, **environ},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best * 1000


def main() -> None:
    """Print a line for each."""
    data = {"SWITCHGEAR_DATA": sys.argv[1]} if len(sys.argv) > 1 else {}
    for command in COMMANDS:
        print(f"{cpu_ms(command.split(), data):5.0f} ms  switchgear {command}")
    for words in TABS:
        given = words.split()
        count = str(len(given) if words.endswith(" ") else len(given) - 1)
        tab = {"_SWITCHGEAR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
        print(f"{cpu_ms([], data | tab):5.0f} ms  TAB after `{words}`")


if __name__ == "__main__":
    main()
