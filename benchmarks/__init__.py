"""Costs of polysession beside other clients: `python -m benchmarks`, or `nox -s bench`."""
