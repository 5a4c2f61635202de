"""Level 1: price(usage, model) → nano-USD, or None. Unknown is None, never 0."""
