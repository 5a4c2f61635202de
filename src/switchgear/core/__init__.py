"""Level 0: values. Nothing here imports asyncio, sockets, SQL, the environment, the time or randomness."""
