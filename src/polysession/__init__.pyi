# The names of this package, each with its home: type checkers read them here, and `lazy_names` at run time.
from polysession._core.flow import (
    Response as Response,
)
from polysession._core.provider import (
    Page as Page,
)
from polysession._core.retry import (
    RetryPolicy as RetryPolicy,
)
from polysession.result import (
    TurnResult as TurnResult,
    UnfinishedTurn as UnfinishedTurn,
)
from polysession._drivers.async_stream import (
    AsyncEventStream as AsyncEventStream,
    AsyncTurn as AsyncTurn,
)
from polysession._drivers.sync_stream import (
    EventStream as EventStream,
    Turn as Turn,
)
from polysession._version import (
    __version__ as __version__,
)
from polysession.action import (
    ACTION as ACTION,
    ANSWER as ANSWER,
    Answer as Answer,
    Approve as Approve,
    Deny as Deny,
    PendingAction as PendingAction,
    Question as Question,
    Reply as Reply,
    ToolApproval as ToolApproval,
    ToolExecution as ToolExecution,
    ToolOutput as ToolOutput,
)
from polysession.async_client import (
    AsyncClient as AsyncClient,
)
from polysession.async_paginator import (
    AsyncPaginator as AsyncPaginator,
)
from polysession.change import (
    UNSET as UNSET,
    SessionRef as SessionRef,
    Unset as Unset,
)
from polysession.client import (
    Client as Client,
)
from polysession.errors import (
    AuthenticationFailed as AuthenticationFailed,
    BrokenProvider as BrokenProvider,
    Conflict as Conflict,
    ConnectError as ConnectError,
    ConnectionLost as ConnectionLost,
    DeadlineExceeded as DeadlineExceeded,
    DuplicateProvider as DuplicateProvider,
    InvalidRequest as InvalidRequest,
    MalformedResponse as MalformedResponse,
    MissingCredentials as MissingCredentials,
    NetworkTimeout as NetworkTimeout,
    NotFound as NotFound,
    PermissionDenied as PermissionDenied,
    PluginError as PluginError,
    PolysessionError as PolysessionError,
    RateLimited as RateLimited,
    ServerError as ServerError,
    ActionRequiredError as ActionRequiredError,
    TurnCancelled as TurnCancelled,
    TurnFailed as TurnFailed,
    TurnLimitReached as TurnLimitReached,
    StatusError as StatusError,
    StreamInterrupted as StreamInterrupted,
    TransportError as TransportError,
    UnexpectedRedirect as UnexpectedRedirect,
    UnknownProvider as UnknownProvider,
    UnsupportedOperation as UnsupportedOperation,
    UsageError as UsageError,
)
from polysession.event import (
    EVENT as EVENT,
    ActionRequired as ActionRequired,
    ErrorReported as ErrorReported,
    Event as Event,
    MessageCompleted as MessageCompleted,
    MessageDelta as MessageDelta,
    MessageStarted as MessageStarted,
    Outcome as Outcome,
    RawEvent as RawEvent,
    StatusChanged as StatusChanged,
    StreamGap as StreamGap,
    ThinkingCompleted as ThinkingCompleted,
    ThinkingDelta as ThinkingDelta,
    ThinkingStarted as ThinkingStarted,
    ToolCallCompleted as ToolCallCompleted,
    ToolCallDelta as ToolCallDelta,
    ToolCallStarted as ToolCallStarted,
    ToolResultCompleted as ToolResultCompleted,
    ToolResultDelta as ToolResultDelta,
    TurnEnded as TurnEnded,
    TurnStarted as TurnStarted,
    UsageReported as UsageReported,
)
from polysession.feature import (
    Feature as Feature,
    FeatureSupport as FeatureSupport,
    ResumeMode as ResumeMode,
    Support as Support,
    TurnLife as TurnLife,
    WhenBusy as WhenBusy,
    WhenWaiting as WhenWaiting,
)
from polysession.message import (
    BLOCK as BLOCK,
    Block as Block,
    MediaBlock as MediaBlock,
    Message as Message,
    RawBlock as RawBlock,
    Role as Role,
    TextBlock as TextBlock,
    ThinkingBlock as ThinkingBlock,
    ToolCallBlock as ToolCallBlock,
    ToolResultBlock as ToolResultBlock,
)
from polysession.paginator import (
    Paginator as Paginator,
)
from polysession.profiles import (
    PlainSecretWarning as PlainSecretWarning,
)
from polysession.resources import (
    Agent as Agent,
    Environment as Environment,
    Model as Model,
)
from polysession.session import (
    AgentCapability as AgentCapability,
    Cancellation as Cancellation,
    CancelState as CancelState,
    ModelConfig as ModelConfig,
    Session as Session,
    SessionStatus as SessionStatus,
    Usage as Usage,
)
from polysession.settings import (
    ClearTextWarning as ClearTextWarning,
)
from polysession.switching import (
    SwitchEffect as SwitchEffect,
    SwitchItem as SwitchItem,
    SwitchReport as SwitchReport,
    switch_check as switch_check,
)
