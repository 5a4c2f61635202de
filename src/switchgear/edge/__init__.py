"""Level 4: the outer gate: a request's stages, one file each. No SQL, no credential, no socket but the clients' and the vault's."""
