"""Converts Qoder's sessions, agents and errors into the common records. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas and
https://docs.qoder.com/cloud-agents/api/conventions/idempotency (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    ErrorDetail,
    MalformedResponse,
    Session,
    SessionStatus,
    decoder,
    record_reader,
)
from polysession_managed_agents.member import Member
from polysession_managed_agents.sessions import (
    STATUSES,
    Records,
    agent_record,
    environment_reader,
    model_reader,
    session_record,
)
from polysession_qoder.wire import WireAgent, WireError, WireErrorBody, WireSession, WireUsage

QODER: Final = Member(
    name="qoder",
    title="Qoder",
    largest_page=100,
    history_page=100,
    idempotency_header="idempotency-key",
    repeats_thread=True,
    new_environment={"config": {"type": "cloud"}},
    needs_agent_version=True,
)

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    **STATUSES,
    # Older generations. While a session is being cancelled, its turn still runs.
    "processing": SessionStatus.RUNNING,
    "canceling": SessionStatus.RUNNING,
    "cancelled": SessionStatus.TERMINATED,
    "archived": SessionStatus.TERMINATED,
}
_BUSY_TURNS: Final = frozenset({"running", "canceling"})

_read_error: Final = decoder(WireErrorBody)


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...]) -> Session:
    session = session_record(
        QODER,
        wire,
        content,
        problems,
        status=to_status(wire.status, wire.turn_status),
        usage=None if wire.usage is None else usage_fields(wire.usage),
    )
    return session if session.agent_id else session.model_copy(update={"agent_id": wire.agent_id})


def _to_agent(wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    wire.system = wire.system or wire.instructions
    return agent_record(QODER, wire, content, problems)


to_session: Final = record_reader(WireSession, _to_session)
"""Reads a session of any generation. Raises `MalformedResponse` if the id is missing."""

to_agent: Final = record_reader(WireAgent, _to_agent)
"""Reads an agent of any generation. Raises `MalformedResponse` if the id is missing."""


RECORDS: Final = Records(to_session, to_agent, environment_reader(QODER), model_reader(QODER))
"""The functions that read Qoder's records."""


def to_status(word: str | None, turn_word: str | None = None) -> SessionStatus:
    """Return the common status for a session's `status` and `turn_status`.

    In Qoder's API of May 2026, a session stays `idle` while its `turn_status` is `running`.
    """
    status = _STATUSES.get(word or "", SessionStatus.UNKNOWN)
    return SessionStatus.RUNNING if turn_word in _BUSY_TURNS and status is SessionStatus.IDLE else status


def usage_fields(wire: WireUsage) -> dict[str, Any]:
    """Return the fields of a `Usage`: credits, or tokens with Qoder's API of May 2026."""
    parts = wire.cache_creation
    return {
        "input_tokens": wire.input_tokens,
        "output_tokens": wire.output_tokens,
        "cache_read_tokens": wire.cache_read_input_tokens,
        "cache_creation_tokens": None if parts is None else sum(part or 0 for part in parts.values()),
        "credits": wire.total_credits,
        "model_credits": wire.model_credits,
        "sandbox_credits": wire.sandbox_runtime_credits,
    }


def to_error(content: bytes) -> ErrorDetail:
    """Read an error body of any generation. An empty or unknown body gives an empty detail."""
    try:
        body, _ = _read_error(content)
    except MalformedResponse:
        return ErrorDetail()
    error = WireError(message=body.error) if isinstance(body.error, str) else body.error or WireError()
    message = error.message or ""
    if error.param:
        message = f"{message} (parameter {error.param})"
    code = error.code or error.type
    return ErrorDetail(message, None if code is None else str(code), body.request_id)
