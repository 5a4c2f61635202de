"""Makes texts with synthetic keys, for tests and measurements of `discover`. Level 5. No key of these ever worked anywhere.

Samples in `detect/data/keys` are templates: `<word*20>` stands for 20 random characters of a class, `<b64:TEXT*60>` for
60 base64 characters that begin with TEXT, `<switchgear>` for a virtual key whose checksum holds.
"""

import base64
import random
import re
import string
from collections.abc import Iterable, Iterator

from switchgear.core import virtual_key
from switchgear.detect.rules import KeyRule

CLASSES = {
    "hex": "0123456789abcdef",
    "alnum": string.ascii_letters + string.digits,
    "word": string.ascii_letters + string.digits + "_-",
    "alpha": string.ascii_letters,
    "lowalnum": string.ascii_lowercase + string.digits,
    "upnum": string.ascii_uppercase + string.digits,
    "b32": string.ascii_uppercase + "234567",
}
_TEMPLATE = re.compile(r"<(?:(?P<name>[a-z0-9]+)|b64:(?P<text>[^*<>]+))\*(?P<count>\d+)>|<switchgear>")
FRAMES = (
    # How keys stand in files; {} is the sample.
    "{}",
    "  {}",
    "{}  # added for the demo",
    "- {}",
    "export {}",
    "RUN true && {} ./start.sh",
    "\t{}\r",
)


def expand(template: str, rng: random.Random) -> str:
    """Replace the classes of a template by random characters."""

    def one(match: re.Match[str]) -> str:
        if match.group(0) == "<switchgear>":
            return virtual_key.mint(rng.randbytes)[1]
        count = int(match.group("count"))
        if match.group("text"):
            raw = match.group("text").encode() + rng.randbytes(count)
            return base64.b64encode(raw).decode()[: max(112, count // 4 * 4)]
        letters = CLASSES[match.group("name")]
        return "".join(rng.choice(letters) for _ in range(count))

    return _TEMPLATE.sub(one, template)


def true_lines(rules: Iterable[KeyRule], count: int, seed: int) -> Iterator[tuple[KeyRule, str]]:
    """Yield (rule, text with one of its keys): `count` of each rule, in frames as they stand in files."""
    rng = random.Random(seed)  # noqa: S311 - samples must be the same in each run
    for rule in rules:
        for number in range(count):
            text = expand(rule.positive[number % len(rule.positive)], rng)
            frame = FRAMES[number % len(FRAMES)] if "\n" not in text else "{}"
            yield rule, frame.format(text)
