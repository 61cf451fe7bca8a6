"""The only I/O: the sync and the async runner of flows."""
