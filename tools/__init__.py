"""Programs of this repository, and libraries that they share with the tests.

They are not part of the distribution.

Run a module from the root of the repository, by `python -m tools.NAME` or by its nox session.
"""
