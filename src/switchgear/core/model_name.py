"""A model's own name: what tables about models are keyed by. Level 0."""

import re

NAME_CHARACTERS_MAX = 256
_MAKER = re.compile(r"(?:.*/)?(?:[a-z]{2,6}\.)?(?:anthropic\.|openai\.|google\.)?")


def without_maker(model: str) -> str:
    """Return an upstream's name in lower case without what clouds put before it (`us.anthropic.`, `anthropic/`, `models/`)."""
    return _MAKER.sub("", model.lower()[:NAME_CHARACTERS_MAX], count=1)
