"""What must be reached, in the words that README.md and docs/benchmarks.md print; docs/design.md §3 says why. Level 7.

A row: what the label of a measure begins with, and the goal. The first row that fits is the measure's.
"""

GOALS = (
    ("CPU per plain request", "≤ 6 ×"),
    ("CPU per streamed event that is translated", "≤ 4 ×"),
    ("CPU per streamed event", "≤ 2 ×"),
    ("memory per 10 MB", "≤ 2 ×"),
    ("memory for a 10 MB", "≤ 2 ×"),
    ("memory of all processes", "≤ 160 MB"),
    ("added latency at 100 requests/s", "p50 ≤ 0.6 ms"),
    ("added latency at 1,000 requests/s", "≤ 0.5 / 3 ms"),
    ("start to ready", "≤ 4 / 1.5 s"),
)


def goal(label: str) -> str:
    """Return the goal of a measure. Raises KeyError for one that has none."""
    for beginning, words in GOALS:
        if label.startswith(beginning):
            return words
    raise KeyError(label)
