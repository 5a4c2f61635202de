"""Level 2: append-only files that survive `kill -9`: one writer per folder, any number of readers."""
