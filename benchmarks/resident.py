"""Resident memory of this process.

It imports almost nothing, because its imports are not counted.
"""

import resource


def resident_mb() -> float:
    """Return the current memory in MB.

    If the system does not report it (not Linux), return the maximum so far.
    """
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (an import of pathlib would not be counted for the client)
            return int(statm.read().split()[1]) * resource.getpagesize() / 2**20
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
