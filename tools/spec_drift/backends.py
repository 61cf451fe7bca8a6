"""Our objects and tables with the published ones that they correspond to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

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
import polysession_langgraph.sessions as langgraph_sessions
import polysession_langgraph.wire as langgraph
from polysession import AgentCapability, ModelConfig
from polysession.change import NewSession
from polysession.message import TextBlock
from polysession.provider_api import encode_cursor
from tools.spec_drift.managed_agents import anthropic_knowledge, qoder_knowledge
from tools.spec_drift.ours import Ours, ours, reads, writes
from tools.spec_drift.samples import (
    AGENT,
    AGENT_CHANGES,
    REF,
    body_of,
    list_query,
    make_changes,
    make_provider,
    message_body,
    query_of,
    stream_query,
)

_MODEL: Final = ModelConfig(id="m")
_WHOLE_MODEL: Final = ModelConfig(id="m", type="t", credential_id="c")


def _everruns() -> Ours:
    new = everruns_sessions.new_session_body(
        NewSession(
            agent="a", workspace="w", title="t", tags=["x"], capabilities=[AgentCapability(ref="r")], model=_MODEL
        )
    )
    provider = make_provider("everruns", api_key="k")
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
            reads(everruns_native.EverrunsSessionQuery, "GET /v1/sessions", more=(*list_query(provider), "offset")),
            writes(
                "stream query",
                f"GET {_SSE}",
                stream_query(provider, cursor),
            ),
            reads(everruns_native.EverrunsMessage, "CreateMessageRequest", more=message_body(provider)),
            writes("message", "InputMessage", message_body(provider)["message"]),
            reads(everruns_native.EverrunsNewAgent, "CreateAgentRequest", more=everruns_sessions.new_agent_body(AGENT)),
            reads(
                everruns_native.EverrunsAgentChanges,
                "UpdateAgentRequest",
                more=everruns_sessions.agent_changes_body(AGENT_CHANGES),
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
    changes = agentscope_sessions.build_changes(make_changes(model=_WHOLE_MODEL, permission_mode="default"))
    agent = agentscope_sessions.build_new_agent(AGENT)
    provider = make_provider("agentscope", base_url="http://127.0.0.1", user_id="u")
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
            writes("messages query", f"GET {_MESSAGES}", query_of(next(provider.list_messages(REF, 5, None)))),
            writes("input", "ChatRequest", body_of(agentscope_plans.input_call(place, message))),
            writes("message", "Msg", message),
            reads(agentscope_native.AgentScopeNewAgent, "CreateAgentRequest", more=agent),
            reads(
                agentscope_native.AgentScopeAgentChanges,
                "UpdateAgentRequest",
                more=agentscope_sessions.build_agent_changes(AGENT_CHANGES),
            ),
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


def _langgraph() -> Ours:
    return ours(
        "langgraph",
        [
            reads(langgraph.WireThread, "Thread"),
            reads(langgraph.WireState, "ThreadState"),
            reads(langgraph.WireInterrupt, "Interrupt"),
            reads(langgraph.WireRun, "Run"),
            reads(langgraph.WireAssistant, "Assistant"),
        ],
        {
            "ThreadStatus": langgraph_sessions._STATUSES,
            "RunStatus": (),
            "MultitaskStrategy": ("enqueue", "reject", "interrupt", "rollback"),
            "OnConflictBehavior": ("raise", "do_nothing"),
            "PruneStrategy": ("delete", "keep_latest"),
            "ThreadSortBy": ("thread_id", "status", "created_at", "updated_at", "state_updated_at"),
            "SortOrder": ("asc", "desc"),
            "CancelAction": (),
        },
        r" /threads(/|$)(?!.*crons)",
        r" /assistants(/|$)",
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
    "anthropic": anthropic_knowledge,
    "everruns": _everruns,
    "langgraph": _langgraph,
    "qoder": qoder_knowledge,
}


def _changed_everruns() -> dict[str, Any]:
    return {**everruns_sessions.changes_body(make_changes(tags=["x"]))}
