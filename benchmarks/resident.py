"""How much memory this process holds. Imports next to nothing, because what it imports is not counted."""

import resource


def resident_mb() -> float:
    """The memory in use now, where the system reports it (Linux), else its maximum so far."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (pathlib would be counted as imported already)
            return int(statm.read().split()[1]) * resource.getpagesize() / 2**20
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
