"""Runs of the ADK emulator: an agent whose model follows a script.

A run ends with the connection that started it.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and
https://google.github.io/adk-docs/tools-custom/confirmation/
(read 2026-11), google-adk 2.13.0 and 1.39.1
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from polysession.emulation import (
    Act,
    Ask,
    AskApproval,
    ClientTool,
    Fail,
    Say,
    Scripts,
    Think,
    ToolUse,
    UseTools,
    pause,
)
from polysession_adk.emulator.shapes import (
    ABORT_TEXT,
    ABORTED,
    APPS,
    USAGE,
    call_part,
    content,
    event_shape,
    failure_frame,
    new_id,
    response_part,
    text_part,
)
from polysession_adk.emulator.specials import special_for
from polysession_adk.emulator.store import Json, Store, StoredSession, without_temporary

CONFIRMATION: Final = "adk_request_confirmation"
INPUT: Final = "adk_request_input"
PLACEHOLDER: Final = "This tool call requires confirmation, please approve or reject."
REJECTED: Final = "This tool call is rejected."
_STALE: Final = (
    "The last_update_time provided in the session object is earlier than the update_time in storage."
    " Please check if it is a stale session."
)
_MIXTURE: Final = (
    "Message cannot contain both function responses and text."
    " Function responses resume an existing invocation while text starts a new one."
)
_NO_INPUT: Final = "Running an agent requires either a new_message or an invocation_id to resume a previous invocation."
_LAST_PAUSE_S: Final = 0.01
"""Seconds between the last event and the end of the body."""


class TurnFailure(Exception):  # noqa: N818  (an emulated failure, not an error of the emulator)
    """An exception of the server that makes a turn fail.

    Attributes:
        kind: Name of the exception's class.
        message: Message of the exception.
        is_stored: Whether the server stores it as an event.
    """

    def __init__(self, kind: str, message: str, *, is_stored: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.is_stored = is_stored


@dataclass(slots=True)
class OpenCall:
    """A call that waits for the caller.

    Attributes:
        kind: Type of the expected answer.
        invocation_id: Id of its turn.
        call_id: Id of the tool call. It differs from the id of the request for an approval.
        use: The tool and its result.
        rest: The acts that follow the answer.
        is_answered: Whether it was answered.
    """

    kind: Literal["approval", "output"]
    invocation_id: str
    call_id: str
    use: ToolUse
    rest: tuple[Act, ...]
    is_answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The request of a run.

    Attributes:
        parts: Parts of the message; None for no message.
        streaming: Whether fragments are sent.
        state_delta: Change of the state, stored with the message.
        custom_metadata: Metadata for each event of the run; None for none.
        invocation_id: Id of the turn; None lets the server choose.
    """

    parts: Sequence[Json] | None
    streaming: bool = False
    state_delta: Json = field(default_factory=dict)
    custom_metadata: Json | None = None
    invocation_id: str | None = None


class Run:
    """One turn of a session."""

    def __init__(
        self,
        store: Store,
        session: StoredSession,
        request: RunRequest,
        *,
        scripts: Scripts,
        open_calls: dict[str, OpenCall],
        is_legacy: bool,
    ) -> None:
        self.session = session
        self.request = request
        self.invocation_id = request.invocation_id or f"e-{new_id()}"
        self.agent = APPS[session.app][0]
        self.path = f"{self.agent}@1"
        self.is_legacy = is_legacy
        self._store = store
        self._scripts = scripts
        self._open_calls = open_calls
        self._seen_s = session.updated_at_s
        self.branch: str | None = None
        self._unanswered: dict[str, str] = {}  # names of the tools that run, by the id of the call

    async def frames(self) -> AsyncGenerator[Json, None]:
        """Yield the frames of the turn. It is aborted if they are not read to the end of the body."""
        has_ended = False
        try:
            async for event in self._turn():
                yield event
            await pause(_LAST_PAUSE_S)
            has_ended = True
        except TurnFailure as failure:
            if failure.is_stored:
                yield self.keep(self.event(errorCode=failure.kind, errorMessage=failure.message))
            yield failure_frame(failure.kind, failure.message, is_legacy=self.is_legacy)
            has_ended = True
        finally:
            if not has_ended:
                self._store_abort()

    async def _turn(self) -> AsyncIterator[Json]:
        parts = self.request.parts
        responses = [part["functionResponse"] for part in parts or () if "functionResponse" in part]
        if responses and len(responses) < len(parts or ()):
            raise TurnFailure("ValueError", _MIXTURE)
        if responses:
            async for event in self._continue(responses):
                yield event
            return
        if parts is None and self.session.app == "quiet":
            raise TurnFailure("ValueError", f"{_NO_INPUT} Session: {self.session.id}, User: {self.session.user}")
        if parts is not None:
            self._keep_message(parts)
        message = "".join(part.get("text", "") for part in parts or ())
        special = special_for(self.session.app, message)
        acts = () if special else self._scripts.take(self.session.id, message)
        async for event in special(self, message, message.partition(" ")[2]) if special else self.perform(acts):
            yield event

    async def _continue(self, responses: Sequence[Json]) -> AsyncIterator[Json]:
        """Continue after answers: run the approved tools, then the model."""
        unknown = {each.get("id") for each in responses} - self._open_calls.keys()
        if unknown:
            ids = "{" + ", ".join(repr(each) for each in sorted(map(str, unknown))) + "}"
            raise TurnFailure(
                "ValueError",
                f"Function call not found for function response ids: {ids}. Ensure each function response ID matches an"
                " existing function call in the session history.",
            )
        calls = [(self._open_calls[each["id"]], each) for each in responses]
        if not self.is_legacy:
            self.invocation_id = calls[0][0].invocation_id
        self._keep_message(self.request.parts or ())
        results = [result for call, response in calls if (result := self._result(call, response)) is not None]
        is_repeated = all(call.is_answered and call.kind == "approval" for call, _ in calls)
        if is_repeated and not self.is_legacy:
            return  # the server stores a repeated answer and does nothing
        for call, _ in calls:
            call.is_answered = True
        if results:
            yield self.keep(self.event(content=content("user", results)))
        async for event in self.perform(calls[0][0].rest):
            yield event

    def _result(self, call: OpenCall, response: Json) -> Json | None:
        """Return the result of an approved or rejected tool; None for a tool that the caller ran."""
        if call.kind == "output":
            return None
        confirmed = bool(response.get("response", {}).get("confirmed"))
        result = {"result": call.use.result} if confirmed else {"error": REJECTED}
        return response_part(call.call_id, call.use.name, result)

    async def perform(self, acts: Iterable[Act]) -> AsyncIterator[Json]:
        """Perform the script. Texts and the tools that follow them are one model call."""
        left = list(acts)
        while left:
            words: list[Think | Say] = []
            while left and isinstance(first := left[0], Think | Say):
                words.append(first)
                del left[0]
            act = left.pop(0) if left else None
            uses = act.uses if isinstance(act, UseTools) else ()
            if isinstance(act, Ask):
                schema = {"type": "string", **({"enum": list(act.options)} if act.options else {})}
                uses = (ClientTool(INPUT, {"message": act.prompt, "response_schema": schema}),)
            calls = [(f"adk-{new_id()}", use) for use in uses]
            async for event in self.model_call(words, calls, fails=act if isinstance(act, Fail) else None):
                yield event
            if calls:
                for event in self._tool_events(calls, tuple(left)):
                    yield event
            if any(isinstance(use, AskApproval | ClientTool) for use in uses):
                return

    async def model_call(
        self,
        words: Sequence[Think | Say],
        calls: Sequence[tuple[str, ToolUse]] = (),
        *,
        fails: Fail | None = None,
        finish: str = "STOP",
    ) -> AsyncIterator[Json]:
        """Perform one model call.

        It sends fragments if the request has `streaming`, and then the complete event.

        Raises:
            TurnFailure: The script lets the model fail, after the fragments.
        """
        event_id = new_id()
        parts: list[Json] = []
        for act in words:
            is_thought = isinstance(act, Think)
            for delta in Say(act.text).deltas:
                await pause(0.0 if isinstance(act, Think) else act.pause_s)
                if self.request.streaming:
                    part = text_part(delta, is_thought=is_thought)
                    yield self.event(
                        id=None if self.is_legacy else event_id,
                        modelVersion="script-1",
                        content=content("model", [part]),
                        partial=True,
                    )
            parts.append(text_part(act.text, is_thought=is_thought))
        if fails is not None:
            raise self.failure("RuntimeError", fails.message)
        parts += [call_part(call_id, use.name, use.arguments) for call_id, use in calls]
        self._unanswered = {call_id: use.name for call_id, use in calls}
        waiting = sorted(call_id for call_id, use in calls if isinstance(use, ClientTool))
        yield self.keep(
            self.event(
                id=event_id,
                modelVersion="script-1",
                content=content("model", parts),
                partial=False,
                finishReason=finish,
                usageMetadata=USAGE,
                longRunningToolIds=waiting if calls else None,
            )
        )

    def _tool_events(self, calls: Sequence[tuple[str, ToolUse]], rest: tuple[Act, ...]) -> list[Json]:
        """Return the events with the tools' responses, and with the requests for approvals.

        Requests are sent before the responses, and stored after them.
        """
        self._unanswered = {}
        responses: list[Json] = []
        requests: list[tuple[str, str, ToolUse, Json]] = []
        for call_id, use in calls:
            if isinstance(use, ClientTool):
                self.leave_open(call_id, call_id, use, rest)
            elif isinstance(use, AskApproval):
                requests.append((f"adk-{new_id()}", call_id, use, confirmation(use.name)))
                self.leave_open(requests[-1][0], call_id, use, rest)
                responses.append(response_part(call_id, use.name, {"error": PLACEHOLDER}))
            else:
                responses.append(response_part(call_id, use.name, {"result": use.result}))
        if not responses:
            return []
        hints = {call_id: hint for _, call_id, _, hint in requests}
        actions: Json = {"requestedToolConfirmations": hints} if hints else {}
        if hints and len(hints) == len(responses):
            actions["skipSummarization"] = True
        events = [self.keep(self.event(content=content("user", responses), actions=actions))]
        return [self.keep(self.request_event(requests)), *events] if requests else events

    def event(self, *, actions: Json | None = None, author: str | None = None, **members: Any) -> Json:
        """Return an event of this turn."""
        return event_shape(
            self.invocation_id,
            author or self.agent,
            path=members.pop("path", self.path),
            is_legacy=self.is_legacy,
            actions=actions,
            customMetadata=None if self.is_legacy else self.request.custom_metadata,
            branch=self.branch,
            **members,
        )

    def request_event(self, requests: Sequence[tuple[str, str, ToolUse, Json]]) -> Json:
        """Return the event that requests approvals.

        Args:
            requests: For each approval: id of the request, id of the tool call, the tool, and the server's hint.
        """
        parts = []
        for request_id, call_id, use, hint in requests:
            original = call_part(call_id, use.name, use.arguments)["functionCall"]
            parts.append(
                call_part(request_id, CONFIRMATION, {"originalFunctionCall": original, "toolConfirmation": hint})
            )
        role = "user" if self.is_legacy else "model"
        ids = sorted(request_id for request_id, *_ in requests)
        return self.event(content=content(role, parts), longRunningToolIds=ids)

    def leave_open(self, answer_id: str, call_id: str, use: ToolUse, rest: tuple[Act, ...]) -> None:
        """Add a call that waits for the caller, who answers it with `answer_id`."""
        kind: Literal["approval", "output"] = "output" if isinstance(use, ClientTool) else "approval"
        self._open_calls[answer_id] = OpenCall(kind, self.invocation_id, call_id, use, rest)

    def failure(self, kind: str, message: str, *, is_stored: bool = True) -> TurnFailure:
        """Return a failure of this turn. 1.39.1 does not store failures."""
        return TurnFailure(kind, message, is_stored=is_stored and not self.is_legacy)

    def keep(self, event: Json) -> Json:
        """Store an event, and return it.

        Raises:
            TurnFailure: The session was changed or deleted during the turn.
        """
        if not self._store.is_stored(self.session):
            raise TurnFailure("SessionNotFoundError", f"Session {self.session.id} not found.")
        if self._store.storage == "sqlite" and self.session.updated_at_s > self._seen_s:
            raise TurnFailure("StaleSessionError", _STALE)
        self._store.append(self.session, event)
        self._seen_s = self.session.updated_at_s
        return event

    def _keep_message(self, parts: Sequence[Json]) -> None:
        actions = {"stateDelta": without_temporary(self.request.state_delta)}
        self.keep(self.event(author="user", path="", content=content("user", parts), actions=actions))

    def _store_abort(self) -> None:
        """Store that the turn was aborted, and close its waiting calls. 1.39.1 does not store this."""
        if self.is_legacy or not self._store.is_stored(self.session):
            return
        ours = {key: call for key, call in self._open_calls.items() if call.invocation_id == self.invocation_id}
        waiting = {key: _name(call) for key, call in ours.items() if not call.is_answered}
        calls = self._unanswered | waiting
        parts = [response_part(call_id, name, {"error": ABORT_TEXT}) for call_id, name in calls.items()]
        closing = content("user", parts) if parts else None
        aborted = self.event(path="", content=closing, errorCode=ABORTED, errorMessage=ABORT_TEXT)
        self._store.append(self.session, aborted)


def confirmation(tool: str) -> Json:
    """Return the server's request to confirm a tool."""
    hint = (
        f"Please approve or reject the tool call {tool}() by responding with a FunctionResponse with an expected"
        " ToolConfirmation payload."
    )
    return {"hint": hint, "confirmed": False}


def _name(call: OpenCall) -> str:
    return CONFIRMATION if call.kind == "approval" else call.use.name
