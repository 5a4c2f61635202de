"""Level 3: the vault: sealing, the box of credentials, egress. No client bytes, no SQL, no verb that reads."""
