"""Level 7: `make bench`: what a request costs here, beside nginx in the same run."""
