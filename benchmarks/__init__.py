"""Costs of polysession compared with other clients: `python -m benchmarks`, or `nox -s bench`."""
