"""A value that does not print itself. Level 0."""


class Secret:
    """Holds secret bytes; every textual form of it is masked. `reveal` is called in the vault's sealing module only."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret itself. A test lists the modules that may call this."""
        return self._value

    def last4(self) -> str:
        """Return the last four characters, or nothing for a secret too short to show any of it."""
        return self._value[-4:].decode("ascii", "replace") if len(self._value) >= 12 else ""

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")
