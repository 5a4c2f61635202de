"""Level 1: what a dialect's bodies, streams and errors look like. Sans-I/O."""
