"""Graphs whose agent follows the script.

They are `agent`, `nested` (the same as a subgraph), and `approving` (LangChain's agent).

The interpreter of the server's virtual environment runs this file; ours lacks the packages.
"""

# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

import asyncio
from typing import Annotated, Any, TypedDict

import httpx
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send, interrupt
from scripted import ScriptedModel, command_of


class State(TypedDict):
    """State of the graph: the conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


class Uses(TypedDict):
    """Tool calls of one step that are handled together."""

    calls: list[ToolCall]


async def respond(state: State) -> dict[str, Any]:
    """Ask the script's question, if there is one, and then call the model."""
    _, word, rest = command_of(state["messages"])
    if word == "/return":
        return {"messages": [AIMessage(f"No model says: {rest}")]}
    if word == "/status":
        await _ask_model(int(rest))
    if word == "/question":
        interrupt({"question": "Which colour?", "options": ["red", "green"]})
    if word == "/crash":
        raise ValueError("the node broke")
    if word == "/hang":
        await asyncio.sleep(3600)
    return {"messages": [await ScriptedModel().ainvoke(state["messages"])]}


async def _ask_model(status: int) -> None:
    """Call a model of OpenAI whose API responds with this HTTP status."""
    answer = httpx.Response(status, json={"error": {"message": "the model refuses", "type": "stub"}})
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        await ChatOpenAI(model="stub", api_key="stub", max_retries=0, http_async_client=http).ainvoke("hello")


def route(state: State) -> list[Send] | str:
    """Route tool calls to tasks.

    All approvals of a step have one task, and each other call has its own.
    """
    _, word, _ = command_of(state["messages"])
    calls = getattr(state["messages"][-1], "tool_calls", [])
    if not calls:
        return "respond" if word == "/loop" else END
    if word == "/ask":
        return [Send("approvals", {"calls": calls})]
    if word == "/mixed":
        return [Send("approvals", {"calls": calls[:1]}), Send("client", {"calls": calls[1:]})]
    return [Send("client" if word == "/client-tool" else "tools", {"calls": [call]}) for call in calls]


async def tools(uses: Uses) -> dict[str, Any]:
    """Run a tool."""
    return {"messages": [await _run(call) for call in uses["calls"]]}


async def client(uses: Uses) -> dict[str, Any]:
    """Let the caller run a tool."""
    (call,) = uses["calls"]
    output = interrupt({"type": "client_tool", "name": call["name"], "args": call["args"]})
    return {"messages": [_message(call, output if isinstance(output, str) else str(output))]}


async def approvals(uses: Uses) -> dict[str, Any]:
    """Run the tools that the caller approves.

    Request and answer have the format of LangChain's middleware.
    """
    calls = uses["calls"]
    requests = [
        {"name": call["name"], "args": call["args"], "description": "Tool execution requires approval"}
        for call in calls
    ]
    allowed = ["approve", "edit", "reject", "respond"]
    reviews = [{"action_name": call["name"], "allowed_decisions": allowed} for call in calls]
    decisions = interrupt({"action_requests": requests, "review_configs": reviews})["decisions"]
    if len(decisions) != len(calls):
        raise ValueError(
            f"Number of human decisions ({len(decisions)}) does not match number of hanging tool calls ({len(calls)})."
        )
    return {"messages": [await _decided(*pair) for pair in zip(calls, decisions, strict=True)]}


async def _decided(call: ToolCall, decision: dict[str, Any]) -> ToolMessage:
    if decision["type"] == "reject":
        text = f"User rejected the tool call for `{call['name']}`"
        reason = decision.get("message")
        return _message(call, f"{text} with reason: {reason}" if reason else text, status="error")
    if decision["type"] == "edit":
        return await _run(ToolCall(**{**call, "args": decision["edited_action"]["args"]}))
    return await _run(call)


async def _run(call: ToolCall) -> ToolMessage:
    if call["name"] == "wait":
        await asyncio.sleep(call["args"]["seconds"])
        return _message(call, "waited")
    if call["name"] == "boom":
        raise RuntimeError("the tool broke")
    return _message(call, f"{call['args']['query']} is in stock")


def _message(call: ToolCall, text: str, **fields: Any) -> ToolMessage:
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], **fields)


@tool
async def lookup(query: str) -> str:
    """Look something up."""
    return f"{query} is in stock"


def _build() -> Any:
    builder = StateGraph(State)
    builder.add_node("respond", respond)
    for node in (tools, client, approvals):
        builder.add_node(node.__name__, node)
        builder.add_edge(node.__name__, "respond")
    builder.add_edge(START, "respond")
    builder.add_conditional_edges("respond", route, ["respond", "tools", "client", "approvals", END])
    return builder.compile()


def _nested() -> Any:
    builder = StateGraph(State)
    builder.add_node("inner", _build())
    builder.add_edge(START, "inner")
    return builder.compile()


agent = _build()
nested = _nested()
approving = create_agent(
    model=ScriptedModel(),
    tools=[lookup],
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"lookup": True})],
)
