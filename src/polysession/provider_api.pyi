# The names that a provider may import, each with its home: type checkers read them here, and `lazy_names` at run time.
from polysession._core.authorising import (
    Authorisation as Authorisation,
)
from polysession._core.answers import (
    check_answer_kind as check_answer_kind,
    split_turn_input as split_turn_input,
)
from polysession._core.decoding import (
    decode_cursor as decode_cursor,
    decoder as decoder,
    encode_cursor as encode_cursor,
    remove_unusable as remove_unusable,
    record_reader as record_reader,
)
from polysession._core.filtering import (
    apply_filters as apply_filters,
)
from polysession._core.effect_source import (
    new_id as new_id,
)
from polysession._core.flow import (
    Call as Call,
    Flow as Flow,
    PathText as PathText,
    Response as Response,
    json_body as json_body,
    path_segment as path_segment,
    with_query as with_query,
)
from polysession._core.pairs import (
    SplitPairs as SplitPairs,
)
from polysession._core.plans import (
    AnsweredTurn as AnsweredTurn,
    BodyEnd as BodyEnd,
    Finished as Finished,
    Head as Head,
    Items as Items,
    PolledStream as PolledStream,
    PolledTurn as PolledTurn,
    Reconcile as Reconcile,
    Reopen as Reopen,
    Step as Step,
    StreamPlan as StreamPlan,
    ConnectedStream as ConnectedStream,
    TurnPlan as TurnPlan,
)
from polysession._core.provider import (
    PROVIDER_API_VERSION as PROVIDER_API_VERSION,
    ErrorDetail as ErrorDetail,
    Page as Page,
    Provider as Provider,
    TurnInput as TurnInput,
)
from polysession._core.deltas import (
    message_delta as message_delta,
    thinking_delta as thinking_delta,
    tool_call_delta as tool_call_delta,
    tool_result_delta as tool_result_delta,
)
from polysession._core.raw_events import (
    raw_event as raw_event,
)
from polysession._core.reading import (
    answer_id as answer_id,
    cursor_number as cursor_number,
    fastapi_error as fastapi_error,
    one_page as one_page,
    read_array as read_array,
    read_frame as read_frame,
    read_frames as read_frames,
    read_json as read_json,
    read_json_or_none as read_json_or_none,
    read_json_or_nothing as read_json_or_nothing,
    read_list as read_list,
    read_parts as read_parts,
    read_response as read_response,
    read_whole as read_whole,
)
from polysession._core.recent import (
    RecentIds as RecentIds,
)
from polysession._core.sse import (
    Frame as Frame,
)
from polysession._core.turn import (
    add_usage as add_usage,
)
from polysession._lazy_names import (
    lazy_names as lazy_names,
)
from polysession._json import (
    decode_json as decode_json,
)
from polysession.action import (
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
from polysession.change import (
    UNSET as UNSET,
    AgentChanges as AgentChanges,
    NativeBody as NativeBody,
    NewAgent as NewAgent,
    NewEnvironment as NewEnvironment,
    NewSession as NewSession,
    SessionChanges as SessionChanges,
    SessionQuery as SessionQuery,
    SessionRef as SessionRef,
    Unset as Unset,
)
from polysession.errors import (
    Conflict as Conflict,
    InvalidRequest as InvalidRequest,
    MalformedResponse as MalformedResponse,
    NetworkTimeout as NetworkTimeout,
    NotFound as NotFound,
    PolysessionError as PolysessionError,
    ServerError as ServerError,
    StatusError as StatusError,
    UnsupportedOperation as UnsupportedOperation,
    UsageError as UsageError,
)
from polysession.event import (
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
    declared as declared,
    emulated as emulated,
    native as native,
    unsupported as unsupported,
)
from polysession.message import (
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
from polysession.plugins import (
    hookimpl as hookimpl,
)
from polysession.record import (
    UtcDatetime as UtcDatetime,
    as_utc as as_utc,
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
    BaseUrl as BaseUrl,
    FromEnv as FromEnv,
    HeaderSecret as HeaderSecret,
    HeaderText as HeaderText,
    ProviderSettings as ProviderSettings,
    check_header_value as check_header_value,
)
