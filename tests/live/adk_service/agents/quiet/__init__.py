"""An app of the server that judges."""

from . import agent  # noqa: F401  (the server looks for it)
