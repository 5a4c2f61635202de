"""Level 3: the inner gate: sealing, the box of credentials, egress. No client bytes, no SQL, no verb that reads."""
