"""Level 2: what a process gives up for good: paths, sockets, system calls, privileges. Knows the kernel, not the gateway."""
