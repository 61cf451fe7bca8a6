"""One typed client for the agent sessions of many backends.

A `Client` has the same methods whatever its provider; `AsyncClient` has them awaited. Importing this package costs a
few milliseconds: each name is loaded when it is first used.
"""

from polysession._lazy_names import lazy_names
from polysession._version import __version__ as __version__

__getattr__, __dir__ = lazy_names(__name__, __file__)
