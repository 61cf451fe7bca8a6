"""Requests to which the ADK emulator and the real server must respond alike."""

from __future__ import annotations

from typing import Any, Final

from live.adk_parity import Turn
from live.scenarios import Ask, Scenario

SESSIONS: Final = "/apps/assistant/users/{user}/sessions"
SESSION: Final = f"{SESSIONS}/s"
HISTORY: Final = Ask("GET", SESSION)
APPROVE: Final = {"confirmed": True}
DENY: Final = {"confirmed": False}


def _run(**fields: Any) -> Ask:
    """Return a run with exactly these fields."""
    return Ask("POST", "/run_sse", fields)


def _turns(*messages: str, app: str = "assistant") -> tuple[Turn, ...]:
    return tuple(Turn(message, app=app, streaming=streaming) for message in messages for streaming in (True, False))


SCENARIOS: Final = (
    Scenario("server", (Ask("GET", "/health"), Ask("GET", "/list-apps"), Ask("GET", "/list-apps?detailed=true"))),
    Scenario(
        "unknown addresses",
        (
            Ask("GET", "/nowhere"),
            Ask("PUT", SESSION),
            Ask("GET", f"{SESSIONS}/"),
            Ask("GET", "/apps/nope/app-info"),
            Ask("GET", "/apps/__internal/app-info"),
            Ask("GET", "/apps/quiet/app-info"),
            Ask("GET", "/apps/assistant/users/a%2Fb/sessions"),
            Ask("GET", "/health", headers={"host": "example.net"}),
            Ask("GET", "/health", headers={"origin": "http://example.net"}),
        ),
    ),
    Scenario(
        "sessions are created",
        (
            Ask("POST", SESSIONS),
            Ask("POST", SESSIONS, {}),
            Ask("POST", SESSIONS, {"sessionId": ""}),
            Ask("POST", SESSIONS, {"session_id": "snake"}),
            Ask("POST", SESSIONS, {"sessionId": "  pad  "}),
            Ask("POST", SESSIONS, {"sessionId": "s"}),
            Ask("POST", SESSIONS, {"sessionId": "x y", "unknown": 1}),
            Ask("GET", f"{SESSIONS}/x%20y"),
            Ask("POST", SESSIONS, {"sessionId": "st", "state": {"a": "b", "n": None, "o": {"x": [1]}, "temp:t": 1}}),
            Ask("POST", f"{SESSIONS}/old-way", {"a": 1}),
            Ask("POST", "/apps/nope/users/{user}/sessions", {"sessionId": "no app"}),
            Ask("POST", SESSIONS, {"options": {"a": 1}}),
            Ask("POST", SESSIONS, {"events": [{"author": "user", "actions": {"stateDelta": {"a": 1}}}]}),
            Ask(
                "POST",
                SESSIONS,
                {
                    "sessionId": "restored",
                    "events": [
                        {"author": "user", "invocationId": "e-1", "content": {"parts": [{"text": "hi"}]}},
                        {"author": "assistant", "invocationId": "e-1", "content": {"parts": [{"text": "yo"}]}},
                    ],
                },
            ),
        ),
    ),
    Scenario(
        "bodies are refused",
        (
            Ask("POST", SESSIONS, {"sessionId": 5}),
            Ask("POST", SESSIONS, [1]),
            Ask("POST", SESSIONS, b"{bad"),
            Ask("POST", SESSIONS, {"state": [1]}),
            Ask("POST", SESSIONS, b"{}", {"content-type": "text/plain"}),
            Ask("PATCH", SESSION, {}),
            Ask("PATCH", SESSION, {"stateDelta": 5}),
            Ask("PATCH", f"{SESSIONS}/none", {"stateDelta": {}}),
            _run(),
            _run(appName="assistant"),
            _run(userId="u", sessionId="s"),
            _run(appName="assistant", userId="u", sessionId="none"),
            _run(appName="nope", userId="u", sessionId="none"),
            _run(appName="assistant", userId="u", sessionId="s", newMessage=5),
            _run(appName="assistant", userId="u", sessionId="s", newMessage={"parts": [{"txt": "hi"}]}),
            _run(appName="assistant", userId="u", sessionId="s", newMessage={"parts": [{"text": 5}]}),
        ),
    ),
    Scenario(
        "state has three scopes",
        (
            Ask("PATCH", SESSION, {"stateDelta": {"a": "1", "user:u": "2", "temp:t": 3, "o": {"x": 1}}}),
            Ask("PATCH", SESSION, {"stateDelta": {"a": None, "o": {"y": 1}}}),
            Ask("PATCH", SESSION, {"stateDelta": {}}),
            Ask("POST", SESSIONS, {"sessionId": "other"}),
            Ask("GET", "/apps/crew/users/{user}/sessions/s"),
            Ask("GET", SESSIONS),
            HISTORY,
        ),
    ),
    Scenario(
        "sessions are deleted",
        (
            Ask("DELETE", SESSION),
            Ask("DELETE", SESSION),
            HISTORY,
            Ask("GET", SESSIONS),
            Ask("DELETE", "/apps/nope/users/{user}/sessions/x"),
        ),
    ),
    Scenario("words", (*_turns("hello there", "/think", "/long 5"), Turn("hello", route="/run"), HISTORY)),
    Scenario("tools", (*_turns("/tool", "/tool 3"), HISTORY)),
    Scenario("an approval", (Turn("/ask"), HISTORY, Turn(answers={0: APPROVE}), Turn(answers={0: APPROVE}), HISTORY)),
    Scenario("a denial", (Turn("/ask"), Turn(answers={0: DENY}), HISTORY)),
    Scenario("approvals one by one", (Turn("/ask 2"), Turn(answers={1: APPROVE}), Turn(answers={0: DENY}), HISTORY)),
    Scenario("approvals together", (Turn("/ask 2"), Turn(answers={0: APPROVE, 1: APPROVE}), HISTORY)),
    Scenario("a late approval", (Turn("/ask"), Turn("hello"), Turn(answers={0: APPROVE}), HISTORY)),
    Scenario("a client tool", (Turn("/client-tool"), Turn(answers={0: {"result": "42"}}), HISTORY)),
    Scenario("client tools", (Turn("/client-tool 2"), Turn(answers={0: {"result": "1"}, 1: {"error": "2"}}), HISTORY)),
    Scenario(
        "a client tool twice",
        (Turn("/client-tool"), Turn(answers={0: {"result": "1"}}), Turn(answers={0: {"result": "2"}}), HISTORY),
    ),
    Scenario("both", (Turn("/mixed"), Turn(answers={0: {"result": "42"}}), Turn(answers={1: APPROVE}), HISTORY)),
    Scenario("a question", (Turn("/question"), Turn(answers={0: {"result": "red"}}), HISTORY)),
    Scenario(
        "answers that fit nothing",
        (
            Turn([{"functionResponse": {"id": "none", "name": "lookup", "response": {}}}]),
            Turn([{"functionResponse": {"id": "none", "name": "lookup", "response": {}}}, {"text": "and"}]),
            HISTORY,
        ),
    ),
    Scenario("failures", (*_turns("/fail"), Turn("/fail", route="/run"), Turn("hello"), HISTORY)),
    Scenario("odd ends", (*_turns("/refuse", "/cut", "/empty", "/picture"), Turn("/fail-late"), HISTORY)),
    Scenario("a tool fails the turn", (Turn("/boom"), Turn("hello"), HISTORY)),
    Scenario("an artifact", (*_turns("/note hello"), HISTORY)),
    Scenario("state by a tool", (*_turns("/state red"), Ask("GET", SESSIONS), HISTORY)),
    Scenario("a ticket", (Turn("/ticket"), Turn(answers={0: {"result": "done"}}), HISTORY)),
    Scenario("a tool that asks by itself", (Turn("/ask-more"), Turn(answers={0: APPROVE}), HISTORY)),
    Scenario("a slow tool", (Turn("/wait 0.1", streaming=False), HISTORY)),
    Scenario(
        "a crew",
        (
            Turn("hello", app="crew"),
            Turn("/transfer writer", app="crew"),
            Ask("GET", "/apps/crew/users/{user}/sessions/s"),
        ),
    ),
    Scenario("a line of agents", (Turn("/transfer line", app="crew", streaming=False),)),
    Scenario(
        "an agent without a model",
        (
            *_turns("hello", "/nothing", "/count 3", "/fail", app="quiet"),
            Turn(app="quiet"),
            Ask("GET", "/apps/quiet/users/{user}/sessions/s"),
        ),
    ),
    Scenario(
        "named turns",
        (
            Turn("hello", more={"customMetadata": {"a": 1}, "stateDelta": {"k": "v", "temp:x": 1}}),
            Turn("hello", more={"invocationId": "mine"}),
            HISTORY,
        ),
    ),
    Scenario(
        "media",
        (
            Turn([{"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": "iVBOR/v/"}}]),
            Turn([{"inline_data": {"mime_type": "image/png", "data": "iVBOR_v_"}}, {"text": "See"}]),
            Turn([{"text": "See"}, {"fileData": {"mimeType": "image/png", "fileUri": "https://files.example/a.png"}}]),
            HISTORY,
        ),
    ),
)
