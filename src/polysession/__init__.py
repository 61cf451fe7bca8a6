"""One typed client for the agent sessions of many backends.

`Client("qoder")`, `Client("everruns")` and `Client("agentscope")` have the same methods; `AsyncClient` has them
awaited. Importing this package costs a few milliseconds: each name is loaded when it is first used.
"""

from importlib import import_module

from polysession._version import __version__

TYPE_CHECKING = False  # type checkers take it for true; importing it from typing would cost more than all the rest

if TYPE_CHECKING:
    from polysession._core.provider import Page
    from polysession._core.retry import RetryPolicy
    from polysession.async_client import AsyncClient
    from polysession.change import UNSET, Unset
    from polysession.client import Client
    from polysession.errors import (
        AuthenticationFailed,
        BackendFault,
        BrokenProvider,
        Conflict,
        ConnectFailed,
        ConnectionLost,
        DuplicateProvider,
        InvalidRequest,
        MalformedResponse,
        MissingCredential,
        NotFound,
        PermissionDenied,
        PluginError,
        PolysessionError,
        RateLimited,
        StatusError,
        TimedOut,
        TransportError,
        UnexpectedRedirect,
        UnknownProvider,
        UnsupportedOperation,
        UsageError,
    )
    from polysession.feature import Feature, FeatureSupport, Support
    from polysession.session import (
        Agent,
        AgentCapability,
        Cancellation,
        CancelState,
        ModelConfig,
        Session,
        SessionStatus,
        Usage,
    )

_HOMES = {
    "polysession._core.provider": ("Page",),
    "polysession._core.retry": ("RetryPolicy",),
    "polysession.async_client": ("AsyncClient",),
    "polysession.change": ("UNSET", "Unset"),
    "polysession.client": ("Client",),
    "polysession.errors": (
        "AuthenticationFailed",
        "BackendFault",
        "BrokenProvider",
        "Conflict",
        "ConnectFailed",
        "ConnectionLost",
        "DuplicateProvider",
        "InvalidRequest",
        "MalformedResponse",
        "MissingCredential",
        "NotFound",
        "PermissionDenied",
        "PluginError",
        "PolysessionError",
        "RateLimited",
        "StatusError",
        "TimedOut",
        "TransportError",
        "UnexpectedRedirect",
        "UnknownProvider",
        "UnsupportedOperation",
        "UsageError",
    ),
    "polysession.feature": ("Feature", "FeatureSupport", "Support"),
    "polysession.session": (
        "Agent",
        "AgentCapability",
        "CancelState",
        "Cancellation",
        "ModelConfig",
        "Session",
        "SessionStatus",
        "Usage",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "UNSET",
    "Agent",
    "AgentCapability",
    "AsyncClient",
    "AuthenticationFailed",
    "BackendFault",
    "BrokenProvider",
    "CancelState",
    "Cancellation",
    "Client",
    "Conflict",
    "ConnectFailed",
    "ConnectionLost",
    "DuplicateProvider",
    "Feature",
    "FeatureSupport",
    "InvalidRequest",
    "MalformedResponse",
    "MissingCredential",
    "ModelConfig",
    "NotFound",
    "Page",
    "PermissionDenied",
    "PluginError",
    "PolysessionError",
    "RateLimited",
    "RetryPolicy",
    "Session",
    "SessionStatus",
    "StatusError",
    "Support",
    "TimedOut",
    "TransportError",
    "UnexpectedRedirect",
    "UnknownProvider",
    "Unset",
    "UnsupportedOperation",
    "Usage",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
