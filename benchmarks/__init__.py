"""Costs of polysession compared with other clients: `nox -s bench`."""
