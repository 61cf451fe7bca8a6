"""Everything that a provider may import from polysession, and nothing else."""

from polysession._core.filtering import keep_matching
from polysession._core.flow import Call, Flow, Reply, json_body, path_segment, with_query
from polysession._core.provider import PROVIDER_API_VERSION, ErrorDetail, Page, Provider
from polysession._core.reading import read_as, read_json, read_json_or_none
from polysession._core.writing import write_back
from polysession.change import (
    UNSET,
    NativeBody,
    NewAgent,
    NewSession,
    SessionChanges,
    SessionQuery,
    SessionRef,
    Unset,
)
from polysession.errors import (
    BackendFault,
    Conflict,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PolysessionError,
    UnsupportedOperation,
    UsageError,
)
from polysession.feature import Feature, FeatureSupport, Support, emulated, native, unsupported
from polysession.plugins import hookimpl
from polysession.session import (
    Agent,
    AgentCapability,
    Cancellation,
    CancelState,
    ModelConfig,
    Session,
    SessionStatus,
    Usage,
    UtcDatetime,
)
from polysession.settings import BaseUrl, FromEnv, HeaderSecret, HeaderText, ProviderSettings, check_header_value

__all__ = [
    "PROVIDER_API_VERSION",
    "UNSET",
    "Agent",
    "AgentCapability",
    "BackendFault",
    "BaseUrl",
    "Call",
    "CancelState",
    "Cancellation",
    "Conflict",
    "ErrorDetail",
    "Feature",
    "FeatureSupport",
    "Flow",
    "FromEnv",
    "HeaderSecret",
    "HeaderText",
    "InvalidRequest",
    "MalformedResponse",
    "ModelConfig",
    "NativeBody",
    "NewAgent",
    "NewSession",
    "NotFound",
    "Page",
    "PolysessionError",
    "Provider",
    "ProviderSettings",
    "Reply",
    "Session",
    "SessionChanges",
    "SessionQuery",
    "SessionRef",
    "SessionStatus",
    "Support",
    "Unset",
    "UnsupportedOperation",
    "Usage",
    "UsageError",
    "UtcDatetime",
    "check_header_value",
    "emulated",
    "hookimpl",
    "json_body",
    "keep_matching",
    "native",
    "path_segment",
    "read_as",
    "read_json",
    "read_json_or_none",
    "unsupported",
    "with_query",
    "write_back",
]
