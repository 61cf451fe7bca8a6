"""Programs of this repository, and the libraries that they and the tests share. Nothing here is shipped.

Run a module from the root of the repository: `python -m tools.NAME`, or through its nox session.
"""
