"""Level 1: which deployments answer a model, in which order, and what happens after a failure."""
