"""Servers that reflect the request in their response, and a secret that is easy to find."""

from __future__ import annotations

import html
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from polysession.testing.fault_server import Answer, FaultServer, http, read_request, send_answer

CANARY = "c4n4ry+/=%&<'x"
"""Each of its last characters is written in another way somewhere."""
_OF_A_GATEWAY: dict[str, Any] = {"headers": {"X-Authorization": f"Bearer {CANARY}", "X-Gateway": "c4n4ry of a gateway"}}
SECRETS: dict[str, dict[str, Any]] = {
    "adk": {"token": CANARY, **_OF_A_GATEWAY},
    "agentscope": _OF_A_GATEWAY,
    "anthropic": {"api_key": CANARY, **_OF_A_GATEWAY},
    "everruns": {"api_key": f"Bearer {CANARY}", **_OF_A_GATEWAY},
    "langgraph": {"api_key": CANARY, **_OF_A_GATEWAY},
    "qoder": {"token": CANARY, **_OF_A_GATEWAY},
}
"""The settings of each provider that are secret."""

SHOWN: dict[str, dict[str, str]] = {
    "adk": {"base_url": "", "app": "app-sh0wn", "user_id": "user-sh0wn"},
    "agentscope": {"base_url": "", "user_id": "user-sh0wn", "agent_id": "agent-sh0wn"},
    "anthropic": {"base_url": "", "workspace_id": "wrkspc-sh0wn", "version": "2026-10-21", "betas": "beta-sh0wn"},
    "everruns": {"base_url": "", "org_id": "org-sh0wn"},
    "langgraph": {"base_url": "", "assistant_id": "assistant-sh0wn", "input_key": "key-sh0wn"},
    "qoder": {"base_url": "", "openapi_url": "https://keys.sh0wn", "workspace_id": "workspace-sh0wn"},
}
"""Those that are not: they may be shown, and `doctor` shows them."""


class ReflectingServer(FaultServer):
    """Answers each request with the text of the request."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__(http(200))
        self._answer_for = answer

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        if request:
            send_answer(connection, self._answer_for(request.decode("latin-1")))


def _as_json(status: int) -> Callable[[str], Answer]:
    def answer(said: str) -> Answer:
        error = {"type": said, "code": said, "message": said}
        body = {"error": error, "detail": said, "title": said, "code": said, "request_id": said}
        return http(status, json.dumps(body))

    return answer


REFLECTIONS: dict[str, Callable[[str], Answer]] = {
    "401 in JSON": _as_json(401),
    "404 in JSON": _as_json(404),
    "422 as FastAPI says it": lambda said: http(422, json.dumps({"detail": [{"msg": said, "input": said}]})),
    "500 in JSON": _as_json(500),
    "500 in text": lambda said: http(500, said.encode("latin-1")),
    "502 in a page": lambda said: http(502, f"<html><title>{html.escape(said)[-80:]}</title></html>"),
    "success in text": lambda said: http(200, said.encode("latin-1")),
    "success of another shape": lambda said: http(
        200, json.dumps({"id": {said: said}, "data": [said], "sessions": said})
    ),
    "short success": lambda _: http(200, CANARY),
    "redirect": lambda _: http(302, location=f"https://evil.example/{quote(CANARY, safe='')}"),
    "compression": lambda _: http(200, "{}", content_encoding=CANARY),
    "request id": lambda _: http(200, "[]", x_request_id=CANARY),
    "content type": lambda _: http(200, "[]", content_type=CANARY),
    "malformed header": lambda _: Answer(f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode()),
    "malformed status": lambda _: Answer(f"{CANARY}\r\n\r\n".encode()),
}


OF_AN_ARRAY = {"request id", "content type"}
"""Reflections beside an empty array, which is a list of sessions, or agents, of some backends."""


def check_no_secret(shown: list[str]) -> None:
    assert any(shown)
    leaks = [text[max(0, text.index("c4n4ry") - 200) :][:300] for text in shown if "c4n4ry" in text]
    assert leaks == []
