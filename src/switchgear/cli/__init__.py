"""Level 7: the command line: one file per group of commands. It talks to control over its Unix socket."""
