"""What the ledger adds up by hour and dimensions: the columns of sums, once. Level 2.

Requests, errors and what is counted in requests stand in the row of the last attempt's place; attempts, tokens and costs in
the row of each attempt's own.
"""

import msgspec


class Sums(msgspec.Struct):
    """Sums of one hour and one set of dimensions; fields are columns of the store, in order."""

    requests: int = 0
    attempts: int = 0
    errors: int = 0
    """Requests that did not end well."""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanousd: int = 0
    list_cost_nanousd: int = 0
    unpriced_requests: int = 0
    estimated_requests: int = 0
    failed_attempts: int = 0

    def add(self, other: "Sums") -> None:
        """Add another's to these."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


SUMS = Sums.__struct_fields__
