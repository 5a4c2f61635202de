"""Level 1: sans-I/O codecs. Bytes in, typed events out; no sockets, no clock."""
