"""Questions in the Everruns emulator: the calls of `ask_user`, and the client's answers.

Backend: https://github.com/everruns/everruns, crates/server/src/api/question_answers.rs and
crates/core/src/builtins/ask_user.rs (read 2026-11), and recorded exchanges of its engine 0.50.1
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from polysession.emulation import Ask
from polysession_everruns.emulator.messages import text_part
from polysession_everruns.emulator.records import Session, utc_now
from polysession_everruns.emulator.requests import Shape, read_body, read_values, wrong_type
from polysession_everruns.emulator.validation import conflict, invalid, unknown

Json = dict[str, Any]

ASK_TOOL: Final = "ask_user"

_NUDGE_SHARE: Final = 0.8
_STATUSES: Final = ("answered", "declined")
_REQUEST: Final[Shape] = {"answers": "objects", "status": "text", "tool_call_id": "text?"}
_ANSWER: Final[Shape] = {"id": "text!", "other_text": "text?", "secret_ref": "text?", "selected": "texts"}


def arguments_of(ask: Ask, wait_s: float) -> Json:
    """Build the arguments of a call that asks one question."""
    asked_at = utc_now()
    options = [
        {"label": label, "description": label, "default": position == 0} for position, label in enumerate(ask.options)
    ]
    question = {
        "id": "question_1",
        "kind": "choice" if options else "text",
        "header": "Question",
        "question": ask.prompt,
        "multi_select": False,
        "allow_other": True,
        "options": options,
    }
    return {
        "questions": [question],
        "timeout_seconds": round(wait_s),
        "asked_at": asked_at.isoformat(),
        "nudge_at": (asked_at + timedelta(seconds=wait_s * _NUDGE_SHARE)).isoformat(),
        "expires_at": (asked_at + timedelta(seconds=wait_s)).isoformat(),
    }


def answer(session: Session, content: bytes) -> Json:
    """Accept the answers to the pending questions, and resume the turn.

    Raises:
        Refusal: The body is not JSON, or an answer does not fit its question (400). A value has the wrong type (422).
            No question is pending (404). The questions were already answered, or another call is pending (409).
    """
    body = read_body(content, _REQUEST)
    status = body.get("status", "answered")
    if status not in _STATUSES:
        raise wrong_type(f"status: unknown variant {status!r}")
    submitted = [read_values(each, _ANSWER) for each in body.get("answers", ())]
    call = _asked(session, body.get("tool_call_id"))
    answers = _validate(call["arguments"]["questions"], submitted) if status == "answered" else []
    result = {"status": status, "answered_by": "user", "answers": answers}
    _complete(session, call, result)
    return {"status": status, "answered_by": "user", "session_status": "active"}


def expire(session: Session) -> None:
    """Answer an expired question with its default option, or decline it if it has no options."""
    call = _asked(session, None)
    (question,) = call["arguments"]["questions"]
    if question["options"]:
        chosen = {"id": question["id"], "selected": [question["options"][0]["label"]], "other_text": None}
        _complete(session, call, {"status": "timed_out", "answered_by": "timeout", "answers": [chosen]})
    else:
        _complete(session, call, {"status": "declined", "answered_by": "timeout", "answers": []})


def check_no_question(session: Session) -> None:
    """Refuse tool results while a question is pending, because questions have their own route.

    Raises:
        Refusal: A question is pending (404).
    """
    if session.scripted is not None and ASK_TOOL in session.scripted.pending.values():
        raise unknown("No pending tool call matches")


def _asked(session: Session, wanted: str | None) -> Json:
    """Return the pending call that asks a question, or refuse the request."""
    batches = [event["data"]["tool_calls"] for event in session.log.events if event["type"] == "tool.call_requested"]
    calls = [call for call in (batches[-1] if batches else ()) if wanted in {None, call["id"]}]
    if not calls:
        raise unknown("pending question set not found")
    call: Json = calls[0]
    if call["name"] != ASK_TOOL:
        raise conflict("Session is waiting on a different tool call")
    pending = {} if session.scripted is None else session.scripted.pending
    if call["id"] not in pending:
        raise (
            unknown("pending question set not found")
            if wanted is None
            else conflict("question set has already been answered")
        )
    return call


def _validate(questions: Sequence[Mapping[str, Any]], submitted: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return one answer for each question, in the order of the questions."""
    asked = {question["id"] for question in questions}
    for given in submitted:
        if given["id"] not in asked:
            raise invalid(f"no question with id {json.dumps(given['id'])} was asked")
    return [
        _answer_to(question, [each for each in submitted if each["id"] == question["id"]]) for question in questions
    ]


def _answer_to(question: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> Json:
    quoted = f"question {json.dumps(question['id'])}"
    if len(given) != 1:
        raise invalid(f"{quoted} was answered more than once" if given else f"{quoted} was not answered")
    selected, text = given[0].get("selected", []), (given[0].get("other_text") or "").strip()
    labels = [option["label"] for option in question["options"]]
    if given[0].get("secret_ref") is not None:
        raise invalid(f"{quoted} is not a secret question")
    if question["kind"] == "text" and selected:
        raise invalid(f"{quoted} is text and must not select options")
    for label in selected:
        if label not in labels:
            raise invalid(f"{quoted} was not asked with option {json.dumps(label)}")
    if not selected and not text:
        raise invalid(f"{quoted} has no selection and no free text")
    if len(selected) > 1:
        raise invalid(f"{quoted} is single-select and carries {len(selected)} selections")
    return {"id": question["id"], "selected": selected, "other_text": text or None}


def _complete(session: Session, call: Mapping[str, Any], result: Json) -> None:
    digits = session.id.partition("_")[2]
    context = {"turn_id": f"turn_{digits}", "input_message_id": f"message_{digits}"}
    body = {"tool_call_id": call["id"], "tool_name": ASK_TOOL, "success": True, "status": "success"}
    text = json.dumps(result, separators=(",", ":"))
    session.log.write("tool.completed", {**body, "result": [text_part(text)]}, context=context)
    session.awaits_tool_results = False
    session.touch()
    if session.scripted is not None:
        session.scripted.pending.clear()
        session.scripted.answered.give()
