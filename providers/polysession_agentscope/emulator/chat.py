"""Turns: the service takes an input, runs the agent, and stores the result.

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
"""Number of words of the first message that become the session's name."""


@dataclass(slots=True)
class Turn:
    """An input of a caller, and the reply to it.

    Attributes:
        turn_input: The input, with the service's defaults.
        reply: The message that the turn writes or continues; None before it begins.
        position: Position of the turn's last event in the log.
    """

    user_id: str
    agent_id: str
    session: Session
    turn_input: Json
    reply: Json = None
    position: int | None = None

    @property
    def session_id(self) -> str:
        """Id of the session."""
        return str(self.session.record["id"])

    @property
    def conversation(self) -> Conversation:
        """Conversation of the session."""
        return self.session.conversation

    def publish(self, emitted: Json) -> None:
        """Send an event of this turn to all streams of the session."""
        self.position = self.conversation.publish(emitted)


def start(state: State, user_id: str, body: Json) -> Json:
    """Start a turn in the background.

    The request is accepted even if its session does not exist.

    Raises:
        Refusal: A turn runs, and the input is not an answer to a reply that waits.
    """
    session = state.find_session(body["session_id"])
    if session is not None:
        _begin(state, Turn(user_id, body["agent_id"], session, complete(body["input"])))
    return {"status": "started", "session_id": body["session_id"]}


def interrupt(state: State, user_id: str, agent_id: str, session_id: str) -> Json:
    """Interrupt a turn of a session that runs or waits."""
    session = state.tenant(user_id).session(session_id)
    if not session.stop():
        _begin(state, Turn(user_id, agent_id, session, INTERRUPTION))
    return {"session_id": session_id}


def stream(state: State, user_id: str, session_id: str, after: str | None) -> AsyncGenerator[bytes, None]:
    """Return the frames of a session's events."""
    conversation = state.tenant(user_id).session(session_id).conversation
    return conversation.frames(after, state.pace.heartbeat_s)


def messages(state: State, user_id: str, session_id: str, query: Json) -> Json:
    """Return a page of a session's messages: the newest, or those before a given one."""
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
    """Return a page of a session's messages for 2.0.0, which counts from the oldest."""
    session = state.tenant(user_id).session(session_id)
    page = list(session.conversation.messages.values())[query["offset"] :][: query["limit"]]
    return {"messages": [state.generation.message(message) for message in page], "is_running": session.running}


async def stream_turn(state: State, user_id: str, body: Json) -> AsyncGenerator[bytes, None]:
    """Return the frames of one turn's events, which are the response to a message on 2.0.0.

    A client that closes the connection stops the turn. The service stores the agent's memory, the reply and the pending
    actions only when the response has been sent to its end, so a client that closes at the last event loses them.

    Raises:
        NotFound: The session, its agent or its model does not exist. The response has already started by then.
        AgentFailed: The agent rejects the input. The response has already started by then.
    """
    session = state.tenant(user_id).session(body["session_id"])
    turn = Turn(user_id, body["agent_id"], session, complete(body["input"]))
    agent = _assemble(state, turn)
    conversation = turn.conversation
    memory, permissions, is_saved = list(conversation.context), deepcopy(agent.permissions), False
    conversation.streaming += 1
    try:
        _accept(turn)
        async for emitted in _work(state, turn, agent):
            yield frame(state.generation.event(emitted))
        await pause(state.pace.settle_s)
        _store(state, turn, agent)
        is_saved = True
    finally:
        conversation.streaming -= 1
        if not is_saved:
            conversation.context = memory
            session.record["state"]["permission_context"] = permissions


def _begin(state: State, turn: Turn) -> None:
    if turn.session.running and not is_answer(turn.turn_input):
        raise Refusal(409, f"Session '{turn.session_id}' already has an active chat run in this process.")
    turn.conversation.begin(partial(_run, state, turn))


async def _run(state: State, turn: Turn) -> None:
    while turn.session.turn.running:
        await pause(state.pace.settle_s)
    if await turn.conversation.interruption.wait(state.pace.setup_s):
        return
    if is_answer(turn.turn_input) and turn.session is not state.tenant(turn.user_id).sessions.get(turn.session_id):
        turn.publish(reply_end(turn.session_id, "", "error", "internal"))
        return
    try:
        agent = _assemble(state, turn)
        if not turn.turn_input and turn.conversation.progress.calls:
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
    """Build the agent for a turn.

    Raises:
        NotFound: The session, the agent, the model or the credential does not exist.
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
        deepcopy(turn.conversation.progress) if is_answer(turn.turn_input) else Progress(hex_id()),
        turn.conversation.interruption,
        reminds=state.generation.reminds and not turn.conversation.context,
    )


def _accept(turn: Turn) -> None:
    """Store the messages of an input.

    Raises:
        AgentFailed: The agent rejects the messages. They stay stored.
    """
    if is_answer(turn.turn_input):
        turn.reply = deepcopy(turn.conversation.messages.get(turn.conversation.progress.reply_id))
        return
    turn.conversation.messages.update({message["id"]: message for message in turn.turn_input})
    if turn.conversation.progress.calls or any(message["role"] == "system" for message in turn.turn_input):
        raise AgentFailed("setup")


async def _publish(state: State, turn: Turn, agent: ScriptedAgent) -> None:
    """Run the agent, and send its events to all streams of the session."""
    permissions = deepcopy(agent.permissions)
    if is_answer(turn.turn_input):
        if turn.turn_input is not INTERRUPTION:
            turn.publish(turn.turn_input)
        turn.publish(reply_start(turn.session_id, agent.progress.reply_id, agent.name))
    try:
        async for emitted in _work(state, turn, agent):
            turn.publish(emitted)
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
    """Run the agent, and yield each event after adding it to the reply."""
    if is_answer(turn.turn_input) and turn.reply is not None:
        add_to_reply(turn.reply, turn.turn_input)
    async for emitted in _acts(state, turn, agent):
        if turn.reply is None:
            turn.reply = new_reply(agent.progress.reply_id, agent.name)
        add_to_reply(turn.reply, emitted)
        yield emitted


async def _acts(state: State, turn: Turn, agent: ScriptedAgent) -> AsyncIterator[Json]:
    if turn.turn_input is INTERRUPTION:
        for emitted in agent.stop_waiting():
            yield emitted
    elif not is_answer(turn.turn_input):
        turn.conversation.context += turn.turn_input
        script = state.scripts.take(turn.session_id, last_text(turn.conversation.context))
        # Without a message, the model only repeats its last act.
        async for emitted in agent.reply(script if turn.turn_input else script[-1:]):
            yield emitted
    elif "confirm_results" in turn.turn_input:
        async for emitted in agent.decide(turn.turn_input["confirm_results"]):
            yield emitted
    else:
        async for emitted in agent.take_results(turn.turn_input["execution_results"]):
            yield emitted


def _report(turn: Turn, error_type: str) -> None:
    """Report a turn that failed before its reply began.

    The name of such a reply is the agent's id.
    """
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
    """Name the session after its first message, unless the caller has named it."""
    record = turn.session.record
    text = "" if is_answer(turn.turn_input) else last_text(turn.turn_input)
    if not (text and record["config"].get("naming", {}).get("auto")):
        return
    await pause(state.pace.settle_s)
    name = " ".join(text.split()[:_NAME_WORDS])
    record.update(
        config=record["config"] | {"name": name, "naming": {"auto": False}}, updated_at=state.generation.stamp()
    )
    turn.conversation.publish(event("CUSTOM", name="session_updated", value={}))
