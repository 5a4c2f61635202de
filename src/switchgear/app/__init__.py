"""Level 6: the composition root: the only room that reads the environment and constructs things."""
