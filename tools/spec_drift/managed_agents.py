"""Objects and tables of the family's members, with the published ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import polysession_anthropic.events as anthropic_events
import polysession_anthropic.native as anthropic_native
import polysession_anthropic.wire as anthropic
import polysession_managed_agents.events as managed_events
import polysession_managed_agents.messages as managed_messages
import polysession_managed_agents.sessions as managed_sessions
import polysession_managed_agents.turns as managed_turns
import polysession_managed_agents.wire as managed
import polysession_qoder.native as qoder_native
import polysession_qoder.wire as qoder
from polysession.action import Approve, Deny, ToolApproval, ToolExecution, ToolOutput
from polysession.change import NewEnvironment
from polysession.provider_api import Provider, encode_cursor
from polysession_anthropic.sessions import ANTHROPIC
from polysession_managed_agents.member import Member
from polysession_qoder.sessions import QODER
from tools.spec_drift.ours import Known, Ours, ours, reads, writes
from tools.spec_drift.samples import (
    AGENT,
    AGENT_CHANGES,
    NEW,
    REF,
    list_query,
    make_changes,
    make_provider,
    message_body,
    query_of,
    stream_query,
)

_EVENT_SHAPES: Final[tuple[type[managed.WireEvent], ...]] = tuple(
    shape for shape in vars(managed).values() if isinstance(shape, type) and issubclass(shape, managed.WireEvent)
)
_CONFIRMATION: Final = ToolApproval(
    id="i", name="n", arguments={}, reference='{"type":"user.tool_confirmation","tool_use_id":"i"}'
)
_EXECUTION: Final = ToolExecution(
    id="i", name="n", arguments={}, reference='{"type":"user.custom_tool_result","custom_tool_use_id":"i"}'
)


def _inputs(member: Member, provider: Provider[Any]) -> Iterable[Known]:
    """Return the events that we send."""
    (message,) = message_body(provider)["events"]
    yield writes("message", "UserMessageEventParams", message)
    answers = [managed_messages.answer_event(member, each, _CONFIRMATION) for each in (Approve("i"), Deny("i", "no"))]
    yield writes("confirmation", "UserToolConfirmationEventParams", [name for each in answers for name in each])
    output = managed_messages.answer_event(member, ToolOutput("i", "text", is_error=True), _EXECUTION)
    yield writes("output", "UserCustomToolResultEventParams", output)


def qoder_knowledge() -> Ours:
    """Return the names that our code knows of Qoder."""
    new = managed_sessions.new_session_body(QODER, NEW)
    changed = managed_sessions.changes_body(QODER, make_changes(metadata={"k": "v"}))
    agent = managed_sessions.new_agent_body(QODER, AGENT)
    agent_changes = managed_sessions.agent_changes_body(AGENT_CHANGES)
    provider = make_provider("qoder", token="t")
    cursor = encode_cursor(managed_events.Position("evt_1"))
    return ours(
        "qoder",
        [
            reads(qoder.WireSession, "Session"),
            reads(managed.WireAgentSnapshot, "SessionAgent"),
            writes("", "ModelConfig", ("id",)),
            reads(qoder.WireUsage, "SessionUsage"),
            reads(qoder.WireAgent, "Agent"),
            reads((*_EVENT_SHAPES, qoder.WireUsage), "SessionEvent", "SessionStreamEvent"),
            reads(managed.WireStopReason, "SessionEventStopReason", "SessionStreamEventStopReason"),
            reads(managed.WireReportedError, "SessionErrorEventErrorUnion"),
            reads(managed.WirePreviewed, "StartEventPreviewUnion"),
            reads(managed.WireDelta, "DeltaContent"),
            reads(managed.WireDeltaContent, "TextBlock"),
            reads(managed.WireDeleted, "DeletedSession"),
            reads(managed.WireSent, "SendSessionEvents"),
            reads(qoder_native.QoderNewSession, "SessionCreateParams", more=new),
            reads(qoder_native.QoderSessionChanges, "SessionUpdateParams", more=changed),
            reads(qoder_native.QoderSessionQuery, "SessionListParams", more=list_query(provider)),
            writes("events query", "SessionEventListParams", query_of(next(provider.list_events(REF, 5, None)))),
            writes("stream query", "SessionEventStreamParams", stream_query(provider, cursor)),
            writes("events", "SessionEventSendParams", message_body(provider)),
            *_inputs(QODER, provider),
            reads(qoder_native.QoderNewAgent, "AgentCreateParams", more=agent),
            reads(qoder_native.QoderAgentChanges, "AgentUpdateParams", more=agent_changes),
            reads(qoder_native.QoderAgentReference, "AgentParams"),
            reads(qoder_native.QoderAgentWithOverrides, "AgentWithOverridesParams"),
            reads(qoder_native.QoderSessionAgentChanges, "SessionAgentUpdateParam"),
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


def anthropic_knowledge() -> Ours:
    """Our knowledge of Anthropic's Managed Agents.

    The SDK's names are given without the prefix of most of them.
    """
    new = managed_sessions.new_session_body(ANTHROPIC, NEW)
    changed = managed_sessions.changes_body(ANTHROPIC, make_changes(metadata={"k": "v"}))
    agent = managed_sessions.new_agent_body(ANTHROPIC, AGENT)
    agent_changes = managed_sessions.agent_changes_body(AGENT_CHANGES)
    place = managed_sessions.new_environment_body(
        ANTHROPIC, NewEnvironment(name="n", description="d", metadata={"k": "v"})
    )
    provider = make_provider("anthropic", api_key="k")
    cursor = encode_cursor(anthropic_events.AnthropicPosition("sevt_1"))
    own: tuple[type[managed.WireEvent], ...] = (anthropic.WireUsageEvent, anthropic.WireIdle, anthropic.WireInterrupt)
    return ours(
        "anthropic",
        [
            reads(anthropic.WireSession, "Session"),
            reads(managed.WireAgentSnapshot, "SessionAgent"),
            writes("", "ModelConfig", ("id",)),
            reads(anthropic.WireUsage, "SessionUsage", "SessionUsageSnapshot"),
            reads(anthropic.WireListCost, "BetaMonetaryAmount"),
            reads(managed.WireAgent, "Agent"),
            reads(managed.WireEnvironment, "BetaEnvironment"),
            reads(managed.WireModel, "ModelInfo"),
            reads(managed.WireDeleted, "DeletedSession"),
            reads(managed.WireSent, "SendSessionEvents"),
            reads(anthropic.WireErrorBody, "BetaErrorResponse"),
            reads(anthropic.WireError, "BetaInvalidRequestErrorObject"),
            reads((*_EVENT_SHAPES, *own), *map(_class_of, anthropic_events.EVENT_TYPES.keys() - {"error"})),
            reads(managed.WireStopReason, "SessionRequiresAction"),
            reads(anthropic.WireStopDetails, "SessionRefusalStopDetails"),
            reads(managed.WireReportedError, "UnknownErrorObject"),
            reads(managed.WirePreviewed, "AgentMessagePreview", "AgentThinkingPreview"),
            reads(managed.WireDelta, "DeltaContent"),
            reads(managed.WireDeltaContent, "TextBlock"),
            reads(anthropic_native.AnthropicNewSession, "SessionCreateParams", more=new),
            reads(anthropic_native.AnthropicSessionChanges, "SessionUpdateParams", more=changed),
            reads(anthropic_native.AnthropicSessionQuery, "SessionListParams", more=list_query(provider)),
            writes("events query", "EventListParams", query_of(next(provider.list_events(REF, 5, None)))),
            writes("stream query", "EventStreamParams", stream_query(provider, cursor)),
            writes("events", "EventSendParams", message_body(provider)),
            *_inputs(ANTHROPIC, provider),
            reads(anthropic_native.AnthropicNewAgent, "AgentCreateParams", more=agent),
            reads(anthropic_native.AnthropicAgentChanges, "AgentUpdateParams", more=agent_changes),
            reads(anthropic_native.AnthropicNewEnvironment, "EnvironmentCreateParams", more=place),
            reads(anthropic_native.AnthropicAgentReference, "AgentParams"),
            reads(anthropic_native.AnthropicAgentWithOverrides, "AgentWithOverridesParams"),
            reads(anthropic_native.AnthropicSessionAgentChanges, "SessionAgentUpdateParam"),
            reads(anthropic_native.AnthropicBudget, "BudgetLimitParam"),
            reads(anthropic_native.AnthropicListCost, "BetaMonetaryAmountParam"),
            reads(anthropic_native.AnthropicFileResource, "FileResourceParams"),
            reads(anthropic_native.AnthropicGithubRepository, "GitHubRepositoryResourceParams"),
            reads(anthropic_native.AnthropicMemoryStore, "MemoryStoreResourceParam"),
            reads(anthropic_native.AnthropicBranch, "BranchCheckoutParam"),
            reads(anthropic_native.AnthropicCommit, "CommitCheckoutParam"),
        ],
        _ANTHROPIC_VALUES,
        r" /v1/sessions",
        r" /v1/agents",
        r" /v1/environments(/{}(/archive)?)?$",
        r" /v1/models",
    )


_ANTHROPIC_VALUES: Final[Mapping[str, Iterable[str]]] = {
    "Session.status": managed_sessions.STATUSES,
    "SessionListParams.statuses": managed_sessions.STATUSES,
    "SessionListParams.order": ("asc", "desc"),
    "EventListParams.order": ("asc", "desc"),
    "EventStreamParams.event_deltas": managed_turns._DELTAS,
    "SessionStatusIdleEvent.stop_reason": anthropic_events._OUTCOMES,
    "UserToolConfirmationEventParams.result": ("allow", "deny"),
    "MemoryStoreResourceParam.access": ("read_write", "read_only"),
    "SessionCreateParams.resources": ("file", "github_repository", "memory_store"),
    "BetaMonetaryAmountParam.currency": ("USD",),
    "EnvironmentCreateParams.scope": ("organization", "account"),
    "UserMessageEventParams.content": ("text", "image", "document"),
    "ImageBlockParam.source": managed_messages.MEDIA_SOURCES,
    "DocumentBlockParam.source": managed_messages.MEDIA_SOURCES,
    # Read without interpretation.
    "AgentMessageEvent.content": (),
    "AgentToolUseEvent.evaluated_permission": (),
    "AgentToolUseEvent.evaluation": (),
    "SessionErrorEvent.error": (),
    "UnknownErrorObject.retry_status": (),
    "Session.resources": (),
    "SessionCreateParams.initial_events": (),
    "AgentCreateParams.tools": (),
    "AgentCreateParams.multiagent": (),
    "SessionThreadStatus": (),
}
"""The values that our code interprets; none for an enum that is only watched."""


def _class_of(event_type: str) -> str:
    """Return the SDK's class name for an event type."""
    if event_type in managed_events.PREVIEWS:
        return f"{event_type.removeprefix('event_').title()}Event"
    words = re.split(r"[._]", event_type)
    return "".join(word.upper() if word == "mcp" else word.title() for word in words) + "Event"
