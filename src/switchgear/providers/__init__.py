"""Level 1: one row of data per provider, and the endpoint that a credential is sealed to."""
