"""Fixtures of these tests."""

from support.installed import acme_installed, site

__all__ = ["acme_installed", "site"]
