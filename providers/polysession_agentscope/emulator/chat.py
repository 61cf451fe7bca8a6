"""Turns: how the service takes an input, lets the agent work on it, and stores what came of it.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from polysession.emulation import Refusal, hex_id, pause
from polysession_agentscope.emulator.agent import AgentFailed, ScriptedAgent
from polysession_agentscope.emulator.conversation import Conversation, frame
from polysession_agentscope.emulator.events import add_to_reply, event, new_reply, reply_end, reply_start
from polysession_agentscope.emulator.inputs import INTERRUPTION, complete, is_answer, last_text
from polysession_agentscope.emulator.progress import Progress
from polysession_agentscope.emulator.shapes import Json
from polysession_agentscope.emulator.state import NotFound, Session, State

_NAME_WORDS = 5
"""Words of a first message that the emulated model takes for a session's name."""


@dataclass(slots=True)
class Turn:
    """One input of a caller, and the reply to it.

    Attributes:
        wanted: The input, complete.
        reply: The message that the turn writes or continues; None before it begins.
        position: Position of the turn's last event in the log.
    """

    user_id: str
    agent_id: str
    session: Session
    wanted: Json
    reply: Json = None
    position: int | None = None

    @property
    def session_id(self) -> str:
        """The session's id."""
        return str(self.session.record["id"])

    @property
    def conversation(self) -> Conversation:
        """The session's talk."""
        return self.session.conversation

    def publish(self, happened: Json) -> None:
        """Tell an event of this turn to all who listen."""
        self.position = self.conversation.publish(happened)


def start(state: State, user_id: str, body: Json) -> Json:
    """Begin a turn in the background; nothing of the request is compared with what exists.

    Raises:
        Refusal: A turn runs, and the input is no answer to a reply that waits.
    """
    session = state.find_session(body["session_id"])
    if session is not None:
        _begin(state, Turn(user_id, body["agent_id"], session, complete(body["input"])))
    return {"status": "started", "session_id": body["session_id"]}


def interrupt(state: State, user_id: str, agent_id: str, session_id: str) -> Json:
    """Stop a session's turn, or what its agent waits for."""
    session = state.tenant(user_id).session(session_id)
    if not session.stop():
        _begin(state, Turn(user_id, agent_id, session, INTERRUPTION))
    return {"session_id": session_id}


def stream(state: State, user_id: str, session_id: str, after: str | None) -> AsyncGenerator[bytes, None]:
    """The frames of a session's events."""
    conversation = state.tenant(user_id).session(session_id).conversation
    return conversation.frames(after, state.pace.heartbeat_s)


def messages(state: State, user_id: str, session_id: str, query: Json) -> Json:
    """A page of a session's messages: the latest, or those before one."""
    session = state.tenant(user_id).session(session_id)
    page, has_more = session.conversation.page(query.get("before"), query["limit"])
    cursor = session.conversation.cursor
    has_cursor = cursor is not None and not query.keys() & {"before", "offset"}
    return {
        "messages": page,
        "event_cursor": f"{cursor}-0" if has_cursor else None,
        "is_running": session.running,
        "has_more": has_more,
    }


def messages_by_offset(state: State, user_id: str, session_id: str, query: Json) -> Json:
    """A page of a session's messages, as 2.0.0 counted them: from the oldest."""
    session = state.tenant(user_id).session(session_id)
    page = list(session.conversation.messages.values())[query["offset"] :][: query["limit"]]
    return {"messages": [state.generation.message(message) for message in page], "is_running": session.running}


async def stream_turn(state: State, user_id: str, body: Json) -> AsyncGenerator[bytes, None]:
    """The frames of one turn's events, as 2.0.0 answered a message.

    A client that closes the connection stops the turn. The service saves the agent's memory, the reply and what it
    waits for when the answer has been sent to its end, so that a client that closes at the last event loses them.

    Raises:
        NotFound: The session, its agent or its model does not exist; the answer has begun by then.
        AgentFailed: As with NotFound.
    """
    session = state.tenant(user_id).session(body["session_id"])
    turn = Turn(user_id, body["agent_id"], session, complete(body["input"]))
    agent = _assemble(state, turn)
    conversation = turn.conversation
    memory, permissions, is_saved = list(conversation.context), deepcopy(agent.permissions), False
    conversation.streaming += 1
    try:
        _accept(turn)
        async for happened in _work(state, turn, agent):
            yield frame(state.generation.event(happened))
        await pause(state.pace.settle_s)
        _store(state, turn, agent)
        is_saved = True
    finally:
        conversation.streaming -= 1
        if not is_saved:
            conversation.context = memory
            session.record["state"]["permission_context"] = permissions


def _begin(state: State, turn: Turn) -> None:
    if turn.session.running and not is_answer(turn.wanted):
        raise Refusal(409, f"Session '{turn.session_id}' already has an active chat run in this process.")
    turn.conversation.begin(partial(_run, state, turn))


async def _run(state: State, turn: Turn) -> None:
    while turn.session.turn.running:
        await pause(state.pace.settle_s)
    if await turn.conversation.interruption.wait(state.pace.setup_s):
        return
    if is_answer(turn.wanted) and turn.session is not state.tenant(turn.user_id).sessions.get(turn.session_id):
        turn.publish(reply_end(turn.session_id, "", "error", "internal"))
        return
    try:
        agent = _assemble(state, turn)
        if not turn.wanted and turn.conversation.progress.calls:
            return
        _accept(turn)
    except NotFound:
        _report(turn, "invalid_request")
    except AgentFailed as failure:
        _report(turn, failure.error_type)
    else:
        await _publish(state, turn, agent)
        _store(state, turn, agent)
        await pause(state.pace.settle_s)
        await _name(state, turn)


def _assemble(state: State, turn: Turn) -> ScriptedAgent:
    """The agent for a turn.

    Raises:
        NotFound: The user has not all that a turn needs.
    """
    tenant = state.tenant(turn.user_id)
    agent = tenant.agent(turn.agent_id)
    record = tenant.session(turn.session_id).record
    model = record["config"]["chat_model_config"]
    if model is None:
        raise NotFound("Model", "of the session")
    tenant.credential(model["credential_id"])
    directory = f"/workspaces/{record['config']['workspace_id']}"
    permissions = record["state"]["permission_context"]
    permissions["working_directories"].setdefault(directory, {"path": directory, "source": "session"})
    return ScriptedAgent(
        turn.session_id,
        agent["data"]["name"],
        model["model"],
        permissions,
        deepcopy(turn.conversation.progress) if is_answer(turn.wanted) else Progress(hex_id()),
        turn.conversation.interruption,
        reminds=state.generation.reminds and not turn.conversation.context,
    )


def _accept(turn: Turn) -> None:
    """Store the messages of an input.

    Raises:
        AgentFailed: They are stored, and yet the agent does not take them.
    """
    if is_answer(turn.wanted):
        turn.reply = deepcopy(turn.conversation.messages.get(turn.conversation.progress.reply_id))
        return
    turn.conversation.messages.update({message["id"]: message for message in turn.wanted})
    if turn.conversation.progress.calls or any(message["role"] == "system" for message in turn.wanted):
        raise AgentFailed("setup")


async def _publish(state: State, turn: Turn, agent: ScriptedAgent) -> None:
    """Let the agent work, and tell what happens to all who listen."""
    permissions = deepcopy(agent.permissions)
    if is_answer(turn.wanted):
        if turn.wanted is not INTERRUPTION:
            turn.publish(turn.wanted)
        turn.publish(reply_start(turn.session_id, agent.progress.reply_id, agent.name))
    try:
        async for happened in _work(state, turn, agent):
            turn.publish(happened)
    except AgentFailed as failure:
        end = reply_end(turn.session_id, agent.progress.reply_id, "error", failure.error_type)
        if turn.reply["finished_reason"] is None:
            add_to_reply(turn.reply, end)
            turn.publish(end)
    if agent.permissions != permissions:
        value = {
            "tasks_context": turn.session.record["state"]["tasks_context"],
            "permission_context": agent.permissions,
        }
        turn.conversation.publish(event("CUSTOM", name="state_updated", value=deepcopy(value)))


async def _work(state: State, turn: Turn, agent: ScriptedAgent) -> AsyncIterator[Json]:
    """The events of an agent at work, each after its effect on the reply."""
    if is_answer(turn.wanted) and turn.reply is not None:
        add_to_reply(turn.reply, turn.wanted)
    async for happened in _acts(state, turn, agent):
        if turn.reply is None:
            turn.reply = new_reply(agent.progress.reply_id, agent.name)
        add_to_reply(turn.reply, happened)
        yield happened


async def _acts(state: State, turn: Turn, agent: ScriptedAgent) -> AsyncIterator[Json]:
    if turn.wanted is INTERRUPTION:
        for happened in agent.give_up():
            yield happened
    elif not is_answer(turn.wanted):
        turn.conversation.context += turn.wanted
        script = state.scripts.take(turn.session_id, last_text(turn.conversation.context))
        # Without a message, the model only says once more what it had to say last.
        async for happened in agent.reply(script if turn.wanted else script[-1:]):
            yield happened
    elif "confirm_results" in turn.wanted:
        async for happened in agent.decide(turn.wanted["confirm_results"]):
            yield happened
    else:
        async for happened in agent.take_results(turn.wanted["execution_results"]):
            yield happened


def _report(turn: Turn, error_type: str) -> None:
    """Tell of a turn that failed before its reply began; its reply bears the agent's id for a name."""
    reply = new_reply(hex_id(), turn.agent_id)
    end = reply_end(turn.session_id, reply["id"], "error", error_type)
    add_to_reply(reply, end)
    turn.publish(reply_start(turn.session_id, reply["id"], turn.agent_id))
    turn.publish(end)
    turn.conversation.messages[reply["id"]] = reply
    turn.conversation.cursor = turn.position


def _store(state: State, turn: Turn, agent: ScriptedAgent) -> None:
    conversation, record = turn.conversation, turn.session.record
    conversation.progress = agent.progress
    if turn.reply is not None:
        conversation.messages[turn.reply["id"]] = turn.reply
        conversation.remember(turn.reply)
    remembered = [state.generation.message(message) for message in conversation.context]
    reply_state = state.generation.reply_state(agent.progress.reply_id, agent.progress.steps)
    record["state"] |= {"session_id": turn.session_id, "context": remembered} | reply_state
    record["updated_at"] = state.generation.stamp()
    if turn.position is not None:
        conversation.checkpoint(turn.position)


async def _name(state: State, turn: Turn) -> None:
    """Name the session after its first message, unless the caller named it."""
    record = turn.session.record
    text = "" if is_answer(turn.wanted) else last_text(turn.wanted)
    if not (text and record["config"].get("naming", {}).get("auto")):
        return
    await pause(state.pace.settle_s)
    name = " ".join(text.split()[:_NAME_WORDS])
    record.update(
        config=record["config"] | {"name": name, "naming": {"auto": False}}, updated_at=state.generation.stamp()
    )
    turn.conversation.publish(event("CUSTOM", name="session_updated", value={}))
