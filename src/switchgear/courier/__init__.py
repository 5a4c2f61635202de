"""Level 4: the door outward for all that is no provider. No client bytes, no provider credential, no KEK, no SQL."""
