"""Approvals in the Everruns emulator: the requests, and the decisions of the client.

A call that needs an approval fails at first. The server then generates a call that requests the decision, in the same
way as it requests client-side tools. The agent gets the decisions as a message of the user and repeats the calls. An
approved call runs; a rejected call is blocked.

Backend: https://github.com/everruns/everruns, crates/server/src/api/tool_approvals.rs,
crates/contracts/src/tool_approval_types.rs and knowledge/execution/tool-approval.md (read 2026-11)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from polysession_everruns.emulator.messages import new_message, text_part
from polysession_everruns.emulator.records import Session, utc_now
from polysession_everruns.emulator.requests import Shape, read_body, read_values, wrong_type
from polysession_everruns.emulator.validation import conflict, invalid, unknown

Json = dict[str, Any]

APPROVAL_TOOL: Final = "approve_tool_call"
BLOCKED: Final = "blocked by pre_tool_use hook: rejected by user"

_CODE: Final = "tool_approval_required"
_PREFIX: Final = "tool_approval_"
_MAX_DECISIONS: Final = 64
_REQUEST: Final[Shape] = {"decisions": "objects!"}
_DECISION: Final[Shape] = {"decision": "text!", "tool_call_id": "text!"}
_DECISION_TEXTS: Final[Mapping[str, str]] = {
    "allow": "I approved `{}` this once. Call it again now with exactly the same arguments.",
    "allow_always": "I approved `{}` for the rest of this session. Call it again now with the same arguments.",
    "reject": "I rejected `{}`. Don't run it, and don't try to get the same result another way.",
    "reject_always": "I rejected `{}` for the rest of this session. Don't call it again.",
    "not_approved": "I didn't approve `{}`, so it must not run.",
    "expired": "I didn't answer the approval request for `{}` in time, so it is not approved. Don't run it.",
}
_DECISIONS: Final = ("allow", "allow_always", "reject", "reject_always")
_ALLOWING: Final = frozenset({"allow", "allow_always"})


@dataclass(frozen=True, slots=True)
class Decision:
    """The client's decision about one request."""

    call_id: str
    outcome: str


def request_for(call: Mapping[str, Any], wait_s: float) -> Json:
    """Build the call that requests an approval for this call."""
    asked_at = utc_now()
    expires_at = (asked_at + timedelta(seconds=wait_s)).isoformat()
    exact = json.dumps({"arguments": call["arguments"], "tool": call["name"]}, sort_keys=True, separators=(",", ":"))
    held = {
        "code": _CODE,
        "error": f"`{call['name']}` needs a person's approval before it runs, so it did not run.",
        "tool_call_id": call["id"],
        "tool": call["name"],
        "arguments": call["arguments"],
        "arguments_truncated": False,
        "fingerprint": f"sha256:{hashlib.sha256(exact.encode()).hexdigest()}",
        "risk": "open_world",
        "mode": "normal",
        "asked_at": asked_at.isoformat(),
        "expires_at": expires_at,
    }
    return {"id": f"{_PREFIX}{call['id']}", "name": APPROVAL_TOOL, "arguments": held}


def read_decisions(content: bytes) -> list[Decision]:
    """Read the decisions in a request body.

    Raises:
        Refusal: The body is not JSON (400), or a value has the wrong type (422).
    """
    decisions = []
    for sent in read_body(content, _REQUEST)["decisions"]:
        values = read_values(sent, _DECISION)
        if values["decision"] not in _DECISIONS:
            raise wrong_type(f"decisions: unknown variant {values['decision']!r}")
        decisions.append(Decision(values["tool_call_id"], values["decision"]))
    return decisions


def decide(session: Session, decisions: Sequence[Decision]) -> Json:
    """Apply the decisions, and resume the turn. Requests without a decision are not approved.

    Raises:
        Refusal: There are no decisions, too many, or two about one request (400). There is no request with that id
            (404). The request expired, or the session does not wait (409).
    """
    requests = _pending(session)
    outcomes = _validate(decisions, {request["id"]: request["arguments"] for request in requests})
    if not session.awaits_tool_results:
        raise conflict(_conflict_reason(session, requests))
    return {"resolved": settle(session, outcomes, "not_approved"), "status": "active"}


def settle(session: Session, outcomes: Mapping[str, str], others: str) -> list[Json]:
    """Report the outcome of each request to the agent, and resume the turn.

    Args:
        session: The waiting session.
        outcomes: The outcomes of requests, by id.
        others: The outcome of all other requests.
    """
    requests = _pending(session)
    settled = {request["id"]: outcomes.get(request["id"], others) for request in requests}
    tools = {request["id"]: request["arguments"]["tool"] for request in requests}
    text = "\n".join(_DECISION_TEXTS[outcome].format(tools[call_id]) for call_id, outcome in settled.items())
    message = new_message("user", [text_part(text)])
    session.log.write("input.message", {"message": message})
    digits = session.id.partition("_")[2]
    context = {"turn_id": f"turn_{digits}", "input_message_id": f"message_{digits}"}
    for request in requests:
        outcome = settled[request["id"]]
        result = {
            "outcome": outcome,
            "approved": outcome in _ALLOWING,
            "tool": tools[request["id"]],
            "tool_call_id": request["arguments"]["tool_call_id"],
        }
        body = {"tool_call_id": request["id"], "tool_name": APPROVAL_TOOL, "success": True, "status": "success"}
        session.log.write("tool.completed", {**body, "result": [text_part(json.dumps(result))]}, context=context)
    _resume(session, settled, tools)
    return [{"tool_call_id": each, "tool": tools[each], "outcome": outcome} for each, outcome in settled.items()]


def _resume(session: Session, settled: Mapping[str, str], tools: Mapping[str, str]) -> None:
    for call_id, outcome in settled.items():
        if outcome.endswith("_always"):
            session.approval_rules[tools[call_id]] = outcome in _ALLOWING
    session.touch()
    turn = session.scripted
    if turn is not None:
        turn.approved = [outcome in _ALLOWING for outcome in settled.values()]
        turn.pending = {call_id: name for call_id, name in turn.pending.items() if call_id not in settled}
        if turn.pending:
            return  # client-side tools of the same step still wait
        turn.answered.give()
    session.awaits_tool_results = False


def _pending(session: Session) -> list[Json]:
    """Return the approval requests in the newest `tool.call_requested` event, answered or not."""
    batches = [event["data"]["tool_calls"] for event in session.log.events if event["type"] == "tool.call_requested"]
    return [call for call in (batches[-1] if batches else ()) if call["name"] == APPROVAL_TOOL]


def _validate(decisions: Sequence[Decision], requests: Mapping[str, Json]) -> dict[str, str]:
    if not decisions:
        raise invalid("decisions must not be empty")
    if len(decisions) > _MAX_DECISIONS:
        raise invalid(f"at most {_MAX_DECISIONS} decisions per submission")
    outcomes: dict[str, str] = {}
    for decision in decisions:
        quoted = json.dumps(decision.call_id)
        if decision.call_id in outcomes:
            raise invalid(f"tool call {quoted} is answered more than once")
        if decision.call_id not in requests:
            raise unknown(f"No pending tool approval request {quoted}")
        if datetime.fromisoformat(requests[decision.call_id]["expires_at"]) <= utc_now():
            raise conflict("The approval request expired and counts as rejected")
        outcomes[decision.call_id] = decision.outcome
    return outcomes


def _conflict_reason(session: Session, requests: Sequence[Json]) -> str:
    done = {event["data"]["tool_call_id"] for event in session.log.events if event["type"] == "tool.completed"}
    if requests[0]["id"] in done:
        return "These approval requests were already answered"
    return f"Session is not waiting for tool results (current status: {session.status})"
