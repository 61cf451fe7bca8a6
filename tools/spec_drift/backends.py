"""Which of our objects and tables stand for which published ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import polysession_agentscope.events as agentscope_events
import polysession_agentscope.history as agentscope_history
import polysession_agentscope.native as agentscope_native
import polysession_agentscope.plans as agentscope_plans
import polysession_agentscope.replies as agentscope_replies
import polysession_agentscope.sessions as agentscope_sessions
import polysession_agentscope.turns as agentscope_turns
import polysession_agentscope.wire as agentscope
import polysession_everruns.events as everruns_events
import polysession_everruns.messages as everruns_messages
import polysession_everruns.native as everruns_native
import polysession_everruns.sessions as everruns_sessions
import polysession_everruns.wire as everruns
import polysession_managed_agents.events as managed_events
import polysession_managed_agents.messages as managed_messages
import polysession_managed_agents.sessions as managed_sessions
import polysession_managed_agents.turns as managed_turns
import polysession_managed_agents.wire as managed
import polysession_qoder.native as qoder_native
import polysession_qoder.wire as qoder
from polysession import AgentCapability, ModelConfig, SessionStatus
from polysession.action import Approve, Deny, ToolApproval, ToolExecution, ToolOutput
from polysession.change import NewAgent, NewSession, SessionChanges, SessionQuery, SessionRef
from polysession.message import TextBlock
from polysession.plugins import load_provider
from polysession.provider_api import Call, ConnectedStream, Provider, encode_cursor
from polysession_qoder.sessions import QODER
from tools.spec_drift.ours import Ours, ours, reads, writes

_REF: Final = SessionRef("session_0195e0c0000070008000000000000001", "a")
_MODEL: Final = ModelConfig(id="m")
_WHOLE_MODEL: Final = ModelConfig(id="m", type="t", credential_id="c")
_NEW: Final = NewSession(agent="a", environment="e", title="t", metadata={"k": "v"})
_AGENT: Final = NewAgent(name="n", model="m", system_prompt="s", description="d")


def _qoder() -> Ours:
    new = managed_sessions.new_session_body(QODER, _NEW)
    changed = managed_sessions.changes_body(QODER, _changes(metadata={"k": "v"}))
    agent = managed_sessions.new_agent_body(QODER, _AGENT)
    shapes = [
        shape for shape in vars(managed).values() if isinstance(shape, type) and issubclass(shape, managed.WireEvent)
    ]
    provider = _provider("qoder", token="t")
    cursor = encode_cursor(managed_events.Position("evt_1"))
    (message,) = _said(provider)["events"]
    confirmation = ToolApproval(
        id="i", name="n", arguments={}, reference='{"type":"user.tool_confirmation","tool_use_id":"i"}'
    )
    allowed, denied = (
        managed_messages.answer_event(QODER, answer, confirmation) for answer in (Approve("i"), Deny("i", "no"))
    )
    execution = ToolExecution(
        id="i", name="n", arguments={}, reference='{"type":"user.custom_tool_result","custom_tool_use_id":"i"}'
    )
    output = managed_messages.answer_event(QODER, ToolOutput("i", "text", is_error=True), execution)
    return ours(
        "qoder",
        [
            reads(qoder.WireSession, "Session"),
            reads(managed.WireAgentSnapshot, "SessionAgent"),
            writes("", "ModelConfig", ("id",)),
            reads(qoder.WireUsage, "SessionUsage"),
            reads(qoder.WireAgent, "Agent"),
            reads((*shapes, qoder.WireUsage), "SessionEvent", "SessionStreamEvent"),
            reads(managed.WireStopReason, "SessionEventStopReason", "SessionStreamEventStopReason"),
            reads(managed.WireReportedError, "SessionErrorEventErrorUnion"),
            reads(managed.WirePreviewed, "StartEventPreviewUnion"),
            reads(managed.WireDelta, "DeltaContent"),
            reads(managed.WireDeltaContent, "TextBlock"),
            reads(managed.WireDeleted, "DeletedSession"),
            reads(managed.WireSent, "SendSessionEvents"),
            reads(qoder_native.QoderNewSession, "SessionCreateParams", more=new),
            reads(qoder_native.QoderSessionChanges, "SessionUpdateParams", more=changed),
            reads(qoder_native.QoderSessionQuery, "SessionListParams", more=_listing(provider)),
            writes("events query", "SessionEventListParams", _query_of(next(provider.list_events(_REF, 5, None)))),
            writes("stream query", "SessionEventStreamParams", _opening(provider, cursor)),
            writes("events", "SessionEventSendParams", _said(provider)),
            writes("message", "UserMessageEventParams", message),
            writes("confirmation", "UserToolConfirmationEventParams", (*allowed, *denied)),
            writes("output", "UserCustomToolResultEventParams", output),
            reads(qoder_native.QoderNewAgent, "AgentCreateParams", more=agent),
            reads(qoder_native.QoderAgentReference, "AgentParams"),
            reads(qoder_native.QoderAgentWithOverrides, "AgentWithOverridesParams"),
            reads(qoder_native.QoderAgentChanges, "SessionAgentUpdateParam"),
            reads(qoder_native.QoderBudget, "BudgetLimitParam"),
            reads(qoder_native.QoderFileResource, "FileResourceParams"),
            reads(qoder_native.QoderGithubRepository, "GitHubRepositoryResourceParams"),
            reads(qoder_native.QoderGitRepository, "GitRepositoryResourceParams"),
            reads(qoder_native.QoderMemoryStore, "MemoryStoreResourceParam"),
            reads(qoder_native.QoderBranch, "BranchCheckoutParam"),
            reads(qoder_native.QoderCommit, "CommitCheckoutParam"),
        ],
        {
            "SessionEventStreamParams.event_deltas": managed_turns._DELTAS,
            "SessionListParams.order": ("asc", "desc"),
            "UserToolConfirmationEventParams.result": ("allow", "deny"),
            "MemoryStoreResourceParam.access": ("read_write", "read_only"),
            "SessionCancelResponse.status": (),
            **{f"{what}SourceParam.type": () for what in ("URLImage", "Base64Image", "FileImage", "URLDocument")},
            **{f"{what}SourceParam.type": () for what in ("Base64Document", "FileDocument", "PlainTextDocument")},
        },
        r" /sessions",
        r" /agents",
    )


def _everruns() -> Ours:
    new = everruns_sessions.new_session_body(
        NewSession(
            agent="a", workspace="w", title="t", tags=["x"], capabilities=[AgentCapability(ref="r")], model=_MODEL
        )
    )
    provider = _provider("everruns", api_key="k")
    cursor = encode_cursor(everruns.WireCursor("event_1"))
    turn_data = [f"Turn{what}Data" for what in ("Started", "Completed", "Failed", "Cancelled", "Sealed")]
    session_data = [f"Session{what}Data" for what in ("Started", "Activated", "Idled")]
    text_data = [f"OutputMessage{what}Data" for what in ("Started", "Delta")]
    thinking_data = [f"ReasonThinking{what}Data" for what in ("Started", "Delta", "Completed")]
    return ours(
        "everruns",
        [
            reads(everruns.WireSession, "Session"),
            reads(everruns.WireCapability, "AgentCapabilityConfig"),
            reads(everruns.WireUsage, "TokenUsage"),
            reads(everruns.WireAgent, "Agent"),
            reads(everruns.WireMessage, "Message"),
            reads(everruns.WireContext, "EventContext"),
            reads(everruns.WireEvent, "Event"),
            reads(everruns.WireTurnData, *turn_data, *session_data, "ReasonCompletedData"),
            reads(everruns.WireTextData, *text_data, *thinking_data),
            reads(everruns.WireMessageData, "InputMessageData", "OutputMessageCompletedData"),
            reads(everruns.WireConversationData, "ConversationMessageData"),
            reads(everruns.WireToolCall, "ToolCall", "ToolCallSummary"),
            reads(everruns.WireToolData, "ToolStartedData", "ToolCompletedData", "ToolOutputDeltaData"),
            reads(everruns.WireToolCallsData, "ActStartedData", "ToolCallRequestedData"),
            reads(everruns_native.EverrunsNewSession, "CreateSessionRequest", more=new),
            reads(everruns_native.EverrunsSessionChanges, "UpdateSessionRequest", more=_changed_everruns()),
            reads(everruns_native.EverrunsSessionQuery, "GET /v1/sessions", more=(*_listing(provider), "offset")),
            writes(
                "stream query",
                f"GET {_SSE}",
                _opening(provider, cursor),
            ),
            reads(everruns_native.EverrunsMessage, "CreateMessageRequest", more=_said(provider)),
            writes("message", "InputMessage", _said(provider)["message"]),
            reads(
                everruns_native.EverrunsNewAgent, "CreateAgentRequest", more=everruns_sessions.new_agent_body(_AGENT)
            ),
            reads(everruns_native.EverrunsCapability, "AgentCapabilityConfig"),
            reads(everruns_native.EverrunsClientTool, "ClientSideTool"),
            reads(everruns_native.EverrunsInitialFile, "InitialFile"),
            reads(everruns_native.EverrunsNetworkAccess, "NetworkAccessList"),
        ],
        {
            "SessionStatus": everruns_sessions._STATUSES,
            "MessageRole": everruns_messages._ROLES,
            "ContentPart.type": everruns_messages._BLOCKS,
            "CancelStatus": ("cancelled", "no_op"),
            "TurnStopReason": everruns_events._STOPPED,
            "EventData": (),
        },
        r" /v1/sessions",
        r" /v1/agents",
    )


def _agentscope() -> Ours:
    new = agentscope_sessions.build_new_session(NewSession(title="t", workspace="w", model=_WHOLE_MODEL), "a")
    changes = agentscope_sessions.build_changes(_changes(model=_WHOLE_MODEL, permission_mode="default"))
    agent = agentscope_sessions.build_new_agent(_AGENT)
    provider = _provider("agentscope", base_url="http://127.0.0.1", user_id="u")
    message = agentscope_turns.build_message([TextBlock(text="hi")])
    place = agentscope_sessions.SessionAddress("s", "a")
    blocks = ("TextBlock", "ThinkingBlock", "DataBlock", "ToolCallBlock", "ToolResultBlock", "HintBlock")
    return ours(
        "agentscope",
        [
            reads(agentscope.WireRecord, "SessionRecord"),
            writes("read", "SessionView", ("session", "status", "is_running", "team")),
            reads(agentscope.WireSessionConfig, "SessionConfig"),
            reads(agentscope.WireModelConfig, "ChatModelConfig"),
            reads(agentscope.WireState, "AgentState"),
            reads(agentscope.WirePermissions, "PermissionContext"),
            reads(agentscope.WireAgent, "AgentView"),
            reads(agentscope.WireAgentData, "AgentData"),
            reads(agentscope.WireSessions, "ListSessionsResponse"),
            reads(agentscope.WireAgents, "ListAgentsResponse"),
            reads(agentscope.WireNewSession, "CreateSessionResponse"),
            reads(agentscope.WireNewAgent, "CreateAgentResponse"),
            reads(agentscope.WireStatus, "SessionStatusResponse"),
            reads(agentscope.WireUsage, "Usage"),
            reads(agentscope.WireFailure, "ErrorInfo"),
            reads(agentscope.WireSource, "Base64Source", "URLSource"),
            reads(agentscope.WireBlock, *blocks),
            reads(agentscope.WireMessage, "Msg"),
            reads(agentscope.WireMessages, "ListMessagesResponse"),
            reads(agentscope.WireDecision, "ConfirmResult"),
            reads(tuple({row.shape: None for row in agentscope_events.TABLE.values()}), *_AGENTSCOPE_EVENTS),
            writes("read by the core", "ValidationError", ("loc", "msg")),
            writes("read by the core", "HTTPValidationError", ("detail",)),
            reads(agentscope_native.AgentScopeNewSession, "CreateSessionRequest", more=new),
            reads(agentscope_native.AgentScopeSessionChanges, "UpdateSessionRequest", more=changes),
            writes("messages query", f"GET {_MESSAGES}", _query_of(next(provider.list_messages(_REF, 5, None)))),
            writes("input", "ChatRequest", _body(agentscope_plans.input_call(place, message))),
            writes("message", "Msg", message),
            reads(agentscope_native.AgentScopeNewAgent, "CreateAgentRequest", more=agent),
            reads(agentscope_native.AgentScopeModelConfig, "ChatModelConfig", "TTSModelConfig", "RealtimeModelConfig"),
            reads(agentscope_native.AgentScopeKnowledgeConfig, "SessionKnowledgeConfig"),
            reads(agentscope_native.AgentScopeChatConfig, "AgentChatConfig"),
            reads(agentscope_native.AgentScopeContextConfig, "ContextConfig"),
            reads(agentscope_native.AgentScopeReactConfig, "ReActConfig"),
            reads(agentscope_native.AgentScopeInviteConfig, "InviteConfig"),
        ],
        {
            "SessionStatus": agentscope_sessions.STATUSES,
            "PermissionMode": agentscope_sessions.PERMISSION_MODES,
            "ReplyFinishedReason": agentscope_events.OUTCOMES,
            "ToolCallState": agentscope_replies.ACTIONS,
            "ToolResultState": agentscope_history.NOT_FAILED,
            "Msg.role": agentscope_history.ROLES,
            "Msg.content.type": agentscope_history.BLOCKS,
        },
        r" /sessions",
        r" /chat/",
        r" /agent/",
    )


_MESSAGES: Final = "/sessions/{session_id}/messages"
_SSE: Final = "/v1/sessions/{session_id}/sse"
_AGENTSCOPE_EVENTS: Final = tuple(
    f"{name}Event"
    for name in (
        *("ReplyStart", "ReplyEnd", "ModelCallStart", "ModelCallEnd", "HintBlock", "ExceedMaxIters", "UserInterrupt"),
        *(f"{block}Block{edge}" for block in ("Text", "Thinking", "Data") for edge in ("Start", "Delta", "End")),
        *("ToolCallStart", "ToolCallDelta", "ToolCallEnd", "ToolResultStart", "ToolResultEnd", "Custom"),
        *("ToolResultTextDelta", "ToolResultDataDelta", "RequireUserConfirm", "RequireExternalExecution"),
        *("UserConfirmResult", "ExternalExecutionResult"),
    )
)
BACKENDS: Final[Mapping[str, Callable[[], Ours]]] = {
    "agentscope": _agentscope,
    "everruns": _everruns,
    "qoder": _qoder,
}


def _changes(**values: Any) -> SessionChanges:
    return SessionChanges(title="t", **values)


def _changed_everruns() -> dict[str, Any]:
    return {**everruns_sessions.changes_body(_changes(tags=["x"]))}


def _provider(backend: str, **settings: Any) -> Provider[Any]:
    provider_type = load_provider(backend)
    return provider_type(provider_type.settings_type(**settings))


def _query_of(call: Call) -> list[str]:
    """The names of a call's parameters."""
    return list(parse_qs(urlsplit(call.path).query))


def _listing(provider: Provider[Any]) -> list[str]:
    """The parameters of a list of sessions in which everything is asked for that the backend itself can filter by."""
    everything = SessionQuery(
        agent="a",
        statuses=[SessionStatus.IDLE],
        title_contains="t" if provider.name == "everruns" else None,
        created_after=datetime.min.replace(tzinfo=UTC),
        created_before=datetime.max.replace(tzinfo=UTC),
        include_archived=True,
        oldest_first=True,
        page_size=5,
    )
    return _query_of(next(provider.list_sessions(everything, None)))


def _opening(provider: Provider[Any], cursor: str) -> list[str]:
    """The parameters with which a stream continues after a cursor."""
    try:
        next(provider.stream_events(_REF, cursor))
    except StopIteration as made:
        plan: ConnectedStream = made.value
        return _query_of(plan.open())
    raise AssertionError("a stream with a cursor is opened without another call")


def _said(provider: Provider[Any]) -> dict[str, Any]:
    """The body of a message."""
    return _body(next(provider.send_message(_REF, (TextBlock(text="hi"),))))


def _body(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(call.body or b"{}")
    return body
