"""Converts Anthropic's sessions and errors into the common records. Pure.

Backend: https://platform.claude.com/docs/en/api/beta/sessions and https://platform.claude.com/docs/en/api/errors
(read 2026-11-30)
"""

from __future__ import annotations

from typing import Any, Final

from polysession.provider_api import (
    Agent,
    ErrorDetail,
    MalformedResponse,
    NewSession,
    Session,
    SessionStatus,
    UsageError,
    decoder,
    record_reader,
)
from polysession_anthropic.wire import WireError, WireErrorBody, WireSession, WireUsage
from polysession_managed_agents.member import Member
from polysession_managed_agents.sessions import (
    STATUSES,
    Records,
    agent_record,
    environment_reader,
    model_reader,
    new_session_body,
    session_record,
)
from polysession_managed_agents.wire import WireAgent

ANTHROPIC: Final = Member(name="anthropic", title="Anthropic", prefix="/v1", history_page=1000)

_CENTS: Final = 100

_read_error: Final = decoder(WireErrorBody)


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...]) -> Session:
    status = STATUSES.get(wire.status or "", SessionStatus.UNKNOWN)
    usage = None if wire.usage is None else usage_fields(wire.usage)
    return session_record(ANTHROPIC, wire, content, problems, status=status, usage=usage)


def _to_agent(wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    return agent_record(ANTHROPIC, wire, content, problems)


RECORDS: Final = Records(
    record_reader(WireSession, _to_session),
    record_reader(WireAgent, _to_agent),
    environment_reader(ANTHROPIC),
    model_reader(ANTHROPIC),
)
"""The functions that read Anthropic's records."""


def usage_fields(wire: WireUsage) -> dict[str, Any]:
    """Return the fields of a `Usage`: tokens, and the cost at list prices in US dollars."""
    parts, cost = wire.cache_creation, wire.list_cost
    is_known = cost is not None and cost.currency == "USD" and cost.amount is not None
    return {
        "input_tokens": wire.input_tokens,
        "output_tokens": wire.output_tokens,
        "cache_read_tokens": wire.cache_read_input_tokens,
        "cache_creation_tokens": None if parts is None else sum(part or 0 for part in parts.values()),
        "cost_usd": cost.amount / _CENTS if cost is not None and cost.amount is not None and is_known else None,
    }


def new_body(new: NewSession) -> dict[str, Any]:
    """Return the body of `POST /v1/sessions`.

    A model is sent as an override of the agent's model.

    Raises:
        UsageError: The agent or the environment is missing, metadata is over a limit, the model is passed twice, or it
            has a field that Anthropic does not have.
    """
    body = new_session_body(ANTHROPIC, new)
    if new.model is None:
        return body
    if not isinstance(body["agent"], str):
        raise UsageError("the model was passed twice: pass either model= or AnthropicAgentWithOverrides(model=...)")
    if new.model.type or new.model.credential_id or new.model.model_class:
        raise UsageError(
            "Anthropic accepts only the id and the parameters of a model, not type, credential_id or model_class"
        )
    body["agent"] = {
        "type": "agent_with_overrides",
        "id": body["agent"],
        "model": {**new.model.parameters, "id": new.model.id},
    }
    return body


def to_error(content: bytes) -> ErrorDetail:
    """Read an error body. An empty or unknown body gives an empty detail."""
    try:
        body, _ = _read_error(content)
    except MalformedResponse:
        return ErrorDetail()
    error = body.error or WireError()
    code = (error.details or {}).get("error_code")
    return ErrorDetail(error.message or "", code if isinstance(code, str) else error.type, body.request_id)
