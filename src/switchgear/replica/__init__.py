"""Level 2: the edges' read-only view of keys, routes and freezes: LMDB, written by control, mapped by edges."""
