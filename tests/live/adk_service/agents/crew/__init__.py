"""An app of the real server."""

from . import agent  # noqa: F401  (the server imports it)
