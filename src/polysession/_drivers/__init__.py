"""All I/O of the library: the sync and the async runner of flows."""
