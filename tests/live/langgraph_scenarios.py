"""Requests to which LangGraph's server and the emulator must respond alike."""

from __future__ import annotations

from typing import Any, Final

from live.langgraph_parity import Events, Settled, Start, Turn
from live.scenarios import Ask, Scenario

UNKNOWN: Final = "6a3f4f0e-5d0c-4c53-9d0e-0d3a7c1b2e4f"
OURS: Final = "0d6f1f3a-51a6-4c1e-8d1b-7f5f0f6f2a10"
LOOK: Final = (
    Settled("GET", "/threads/{thread}"),
    Ask("GET", "/threads/{thread}/state"),
    Ask("GET", "/threads/{thread}/runs"),
    Ask("GET", "/threads/{thread}/runs/{run}"),
)
"""Requests that read everything that a run has stored."""
APPROVE: Final = {"type": "approve"}


def _command(method: Any, number: Any = 7, **params: Any) -> Ask:
    return Ask("POST", "/threads/{thread}/commands", {"id": number, "method": method, "params": params})


def _decided(*decisions: Any) -> Turn:
    return Turn(responses={0: {"decisions": list(decisions)}})


def _start_of(text: str, **params: Any) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": text}]}
    return {"id": 7, "method": "run.start", "params": {"assistant_id": "agent", "input": given, **params}}


ANSWER: Final = {"interrupt_id": "x"}
BAD_CHANNELS: Final[tuple[Any, ...]] = (
    *(b"{", [], {}, {"channels": []}, {"channels": "x"}),
    {"channels": ["nope", "debug"]},
)
SAID: Final = {"role": "assistant", "content": "and more"}
SUPERSTEPS: Final = (
    {"updates": [{"values": {"messages": [{"role": "user", "content": "hi"}]}, "as_node": "__start__"}]},
    {"updates": [{"values": {"messages": [SAID]}, "as_node": "respond"}]},
)


SCENARIOS: Final = (
    Scenario(
        "threads",
        (
            Ask("GET", "/threads/{thread}"),
            Ask("GET", "/threads/{thread}/state"),
            Ask("GET", "/threads/{thread}/runs"),
            Ask("POST", "/threads", {"thread_id": "{thread}"}),
            Ask("POST", "/threads", {"thread_id": "{thread}", "if_exists": "do_nothing", "metadata": {"new": 1}}),
            Ask("POST", "/threads", {"thread_id": "nope"}),
            Ask("POST", "/threads", {"metadata": None}),
            Ask("POST", "/threads", b"{"),
            Ask("POST", "/threads", []),
            Ask("POST", "/threads", {"metadata": {"assistant_id": "x", "graph_id": "y", "deep": {"a": [1, None]}}}),
            Ask("PATCH", "/threads/{thread}", {"metadata": {"a": None, "b": {"c": 1}, "assistant_id": "x"}}),
            Ask("PATCH", "/threads/{thread}", {"metadata": {"b": {"d": 2}}}),
            Ask("PATCH", "/threads/{thread}", {}),
            Ask("PATCH", "/threads/{thread}", {"metadata": None}),
            Ask("PATCH", "/threads/{thread}", b"["),
            Ask("PATCH", f"/threads/{UNKNOWN}", {"metadata": {}}),
            Ask("DELETE", "/threads/{thread}"),
            Ask("DELETE", "/threads/{thread}"),
            *(Ask("GET", f"/threads/{UNKNOWN}{rest}") for rest in ("", "/state", "/runs", f"/runs/{UNKNOWN}")),
            Ask("GET", "/threads/nope"),
            Ask("GET", "/threads"),
            Ask("GET", "/nothing"),
        ),
    ),
    Scenario(
        "searches",
        (
            Ask("POST", "/threads/search", {"ids": ["{thread}"]}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "select": ["thread_id", "status", "metadata"]}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "select": ["nope"]}),
            Ask("POST", "/threads/search", {"ids": ["nope"]}),
            Ask("POST", "/threads/search", {"metadata": {"scenario": "searches", "nothing": None}}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "status": "busy"}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "status": "nope"}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "sort_by": "nope"}),
            *(Ask("POST", "/threads/search", {"limit": limit}) for limit in (0, 1001, "x")),
            Ask("POST", "/threads/search", {"offset": -1}),
            Ask("POST", "/threads/search", b""),
            Ask("POST", "/threads/count", {"metadata": {"scenario": "nothing of the kind"}}),
            Ask("POST", "/assistants/search", {"graph_id": "agent", "name": "AGE"}),
            Ask("POST", "/assistants/search", {"graph_id": "nope"}),
            Ask("GET", "/assistants/{agent}"),
            Ask("GET", "/assistants/agent"),
            Ask("GET", f"/assistants/{UNKNOWN}"),
            Ask("POST", "/assistants", {}),
            Ask("POST", "/assistants", {"graph_id": "nope"}),
            Ask("POST", "/assistants", {"assistant_id": "{agent}", "graph_id": "agent"}),
            Ask("POST", "/assistants", {"assistant_id": "{agent}", "graph_id": "agent", "if_exists": "do_nothing"}),
            Ask("POST", "/assistants", {"graph_id": "agent", "name": "mine", "description": "d", "metadata": {"a": 1}}),
        ),
    ),
    Scenario(
        "assistants are changed and deleted",
        (
            Ask("POST", "/assistants", {"assistant_id": OURS, "graph_id": "agent", "metadata": {"a": 1}}),
            *(
                Ask("PATCH", f"/assistants/{OURS}", body)
                for body in (
                    {"name": "b", "description": "e"},
                    {"description": ""},
                    {"description": None},
                    {"name": None},
                    {"metadata": {"a": None, "b": 2}},
                    {"context": {"x": 1}},
                    {"config": {"configurable": {"x": 1}}, "context": {"x": 1}},
                    {"config": {"tags": ["t"]}},
                    {"graph_id": "nope"},
                    {"graph_id": 5},
                    {"graph_id": "approving", "nonsense": 1},
                    {},
                    b"[1]",
                )
            ),
            Ask("GET", f"/assistants/{OURS}"),
            Ask("PATCH", "/assistants/agent", {"name": "x"}),
            Ask("PATCH", f"/assistants/{UNKNOWN}", {"name": "x"}),
            Ask("DELETE", "/assistants/agent"),
            Ask("DELETE", f"/assistants/{UNKNOWN}"),
            Ask("DELETE", f"/assistants/{OURS}"),
            Ask("DELETE", f"/assistants/{OURS}"),
            Ask("GET", f"/assistants/{OURS}"),
        ),
    ),
    Scenario(
        "refused commands and streams",
        (
            Ask("POST", "/threads/{thread}/commands", b"{"),
            _command("run.start", "x"),
            _command(None),
            _command("run.start"),
            _command("run.start", assistant_id="nope", input={}),
            _command("input.respond"),
            _command("input.respond", interrupt_id="x", response=1),
            _command("state.get"),
            Ask("GET", "/threads/{thread}/stream", headers={"last-event-id": "x"}),
            Ask("GET", "/threads/{thread}/stream?stream_modes=nope"),
            Ask("GET", "/threads/nope/stream"),
            Ask("GET", f"/threads/{UNKNOWN}/stream"),
            Ask("POST", f"/threads/{{thread}}/runs/{UNKNOWN}/cancel", {}),
            Ask("POST", f"/threads/{UNKNOWN}/state", {"values": None}),
        ),
    ),
    Scenario("a plain turn", (Turn("hello"), *LOOK)),
    Scenario("a turn with thinking", (Turn("/think"), *LOOK)),
    Scenario("a turn with a tool", (Turn("/tool"), *LOOK)),
    Scenario("two turns", (Turn("one"), Turn("two"), *LOOK)),
    Scenario("an approval", (Turn("/ask"), *LOOK, _decided(APPROVE), *LOOK)),
    Scenario(
        "two approvals, edited and refused",
        (
            Turn("/ask 2"),
            _decided(
                {"type": "edit", "edited_action": {"name": "lookup", "args": {"query": "tea"}}},
                {"type": "reject", "message": "no"},
            ),
            *LOOK,
        ),
    ),
    Scenario("a wrong number of decisions", (Turn("/ask 2"), _decided(APPROVE), *LOOK)),
    Scenario("a tool of the client", (Turn("/client-tool"), *LOOK, Turn(responses={0: "42"}), *LOOK)),
    Scenario("a question", (Turn("/question"), *LOOK, Turn(responses={0: "red"}), *LOOK)),
    Scenario("two interrupts", (Turn("/mixed"), Ask("GET", "/threads/{thread}"))),
    Scenario("a message to a waiting thread", (Turn("/client-tool"), Turn("hello"), *LOOK)),
    Scenario("a run that fails", (Turn("/fail"), *LOOK, Turn("hello"), *LOOK)),
    Scenario(
        "a run that is cancelled",
        (
            Turn("/slow 40", cancel_at="content-block-delta"),
            *LOOK,
            Ask("POST", "/threads/{thread}/runs/{run}/cancel", {}),
            Turn("hello"),
            *LOOK,
        ),
    ),
    Scenario(
        "a waiting run that is given up",
        (
            Turn("/ask"),
            Ask("POST", "/threads/{thread}/runs/{run}/cancel", {}),
            Ask("POST", "/threads/{thread}/state", {"values": None, "as_node": "__end__"}),
            Ask("GET", "/threads/{thread}"),
        ),
    ),
    Scenario(
        "events of turns",
        (
            Turn("hello"),
            Turn("/tool 2"),
            Events(33),
            Events(4, channels=("lifecycle",)),
            Events(1, channels=("lifecycle",), more={"since": 30}),
            Events(2, channels=("custom:x", "lifecycle"), more={"since": 20, "depth": "x", "namespaces": [[]]}),
        ),
    ),
    Scenario("events of approvals", (Turn("/ask"), Events(11), _decided(APPROVE), Events(24))),
    Scenario("events of a question", (Turn("/question"), Events(5))),
    Scenario("events of two interrupts", (Turn("/mixed"), Events(16))),
    Scenario("events of a failure", (Turn("/fail"), Events(3))),
    Scenario(
        "a run is deleted",
        (
            Turn("one"),
            Turn("two"),
            Ask("DELETE", "/threads/{thread}/runs/{run}"),
            Ask("DELETE", "/threads/{thread}/runs/{run}"),
            Ask("DELETE", "/threads/{thread}/runs/nope"),
            Events(2, channels=("lifecycle",)),
            Ask("GET", "/threads/{thread}/runs"),
        ),
    ),
    Scenario(
        "refused streams of events",
        (
            *(Ask("POST", "/threads/{thread}/stream/events", body) for body in BAD_CHANNELS),
            Ask("GET", "/threads/{thread}/stream/events"),
            Ask("POST", "/threads/nope/stream/events", {"channels": ["values"]}),
            Ask("POST", f"/threads/{UNKNOWN}/stream/events", {"channels": ["checkpoints"]}),
            Ask("POST", "/threads/nope/commands", _start_of("hello")),
            Ask(
                "POST", "/threads/nope/commands", {"id": 7, "method": "input.respond", "params": {"interrupt_id": "x"}}
            ),
        ),
    ),
    Scenario(
        "a second message that interrupts",
        (
            Start("POST", "/threads/{thread}/commands", _start_of("/slow 200")),
            Start("POST", "/threads/{thread}/commands", _start_of("second", multitaskStrategy="interrupt")),
            *LOOK[:3],
        ),
    ),
    Scenario(
        "a run is rolled back",
        (
            Turn("one"),
            Start("POST", "/threads/{thread}/commands", _start_of("/slow 200")),
            Ask("POST", "/threads/{thread}/runs/{run}/cancel?wait=true&action=rollback", {}),
            Settled("GET", "/threads/{thread}/runs/{run}"),
            *LOOK[1:3],
        ),
    ),
    Scenario(
        "a run is cancelled and waited for",
        (
            Start("POST", "/threads/{thread}/commands", _start_of("/slow 200")),
            Ask("POST", "/threads/{thread}/runs/{run}/cancel?wait=true", {}),
            *LOOK,
        ),
    ),
    Scenario(
        "states that a client writes",
        (
            Ask("POST", "/threads", {"supersteps": SUPERSTEPS, "metadata": {"graph_id": "agent"}}),
            Ask("POST", "/threads", {"supersteps": SUPERSTEPS}),
            Ask("POST", "/threads/search", {"ids": ["{thread}"], "values": {"a": 1}}),
            Turn("hello"),
            Settled("POST", "/threads/search", {"ids": ["{thread}"], "values": {"a": 1}}),
            Ask("POST", "/threads/{thread}/state", {"values": {"messages": [SAID]}, "as_node": "respond"}),
            Ask("GET", "/threads/{thread}"),
            Ask("POST", "/assistants", {"graph_id": "agent", "context": {"a": 1}}),
        ),
    ),
)
