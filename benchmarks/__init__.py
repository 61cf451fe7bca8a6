"""What polysession costs beside other clients: `python -m benchmarks`, or `nox -s bench`."""
