"""Everything that a provider may import from polysession, and nothing else.

Each name is loaded when it is first used.
"""

from polysession._lazy_names import lazy_names

__getattr__, __dir__ = lazy_names(__name__, __file__)
