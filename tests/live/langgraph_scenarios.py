"""Requests that LangGraph's server and the emulator answer alike."""

from __future__ import annotations

from typing import Any, Final

from live.langgraph_parity import Ask, Scenario, Turn

UNKNOWN: Final = "6a3f4f0e-5d0c-4c53-9d0e-0d3a7c1b2e4f"
OURS: Final = "0d6f1f3a-51a6-4c1e-8d1b-7f5f0f6f2a10"
LOOK: Final = (
    Ask("GET", "/threads/{thread}", settles=True),
    Ask("GET", "/threads/{thread}/state"),
    Ask("GET", "/threads/{thread}/runs"),
    Ask("GET", "/threads/{thread}/runs/{run}"),
)
"""Requests that read everything that is stored after a run."""
APPROVE: Final = {"type": "approve"}


def _command(method: Any, number: Any = 7, **params: Any) -> Ask:
    return Ask("POST", "/threads/{thread}/commands", {"id": number, "method": method, "params": params})


def _decided(*decisions: Any) -> Turn:
    return Turn(responses={0: {"decisions": list(decisions)}})


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
)
