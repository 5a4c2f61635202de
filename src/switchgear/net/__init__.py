"""Level 2: asyncio at the edges of the program: sockets in, sockets out. Thin; the decisions are in levels 0 and 1."""
