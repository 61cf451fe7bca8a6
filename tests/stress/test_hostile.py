"""A malicious backend: it cannot steer the terminal, call others through us, or fill our memory."""

from __future__ import annotations

import json
import socket
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from polysession import Client, MalformedResponse, NotFound, PolysessionError, RetryPolicy, UsageError
from polysession.emulation import EmulatorHandle, serve
from polysession.testing.fault_server import Answer, FaultServer, http, read_request, send_answer
from stress.targets import TARGETS, Target
from support.command import Shell, created, shell_for

HOSTILE = (
    "\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07x \x9b2J"
    "\x08\x7f\u202egpj.exe\u2066 [red]m[/red] :boom: \r\u2028end"
)
ENVIRONMENTS = {
    "adk": {"ADK_APP": "agent_1", "ADK_USER_ID": "alice", "ADK_BASE_URL": ""},
    "langgraph": {"LANGGRAPH_ASSISTANT_ID": "agent_1", "LANGGRAPH_BASE_URL": ""},
    "qoder": {"QODER_ACCESS_TOKEN": "pt-1", "QODER_MANAGED_BASE_URL": ""},
    "anthropic": {"ANTHROPIC_API_KEY": "sk-ant-1", "ANTHROPIC_BASE_URL": ""},
    "everruns": {"EVERRUNS_API_KEY": "evr_pat_1", "EVERRUNS_API_URL": ""},
    "agentscope": {"AGENTSCOPE_USER_ID": "alice", "AGENTSCOPE_AGENT_ID": "agent_1", "AGENTSCOPE_BASE_URL": ""},
}

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


ENOUGH = 60


class Scripted(FaultServer):
    """Answers each request as a function of it says."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__(http(200))
        self._scripted = answer

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        if request:
            self.requests.append(request)
            if len(self.requests) > ENOUGH:
                return  # so that a test that fails ends
            send_answer(connection, self._scripted(self.targets[-1]))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")


def check_harmless(shown: str) -> None:
    bad = [
        char
        for char in shown
        if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"} and char not in "\n\t"
    ]
    assert bad == [], shown


# The terminal.


TITLES = {"title", "name", "displayName", "polysession_title"}


def with_title(value: Any) -> Any:
    """A wire value whose texts that say nothing to us are hostile."""
    if isinstance(value, dict):
        return {name: HOSTILE if name in TITLES else with_title(inner) for name, inner in value.items()}
    return [with_title(inner) for inner in value] if isinstance(value, list) else value


@every_target
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_hostile_session_is_shown_and_does_no_harm(target: Target, options: list[str]) -> None:
    body = json.dumps(with_title(target.whole["get"][0]), ensure_ascii=False)
    listed = json.dumps(with_title(target.whole["list"][0]), ensure_ascii=False)
    with Scripted(
        lambda said: http(200, listed if "?" in said or said.endswith(("sessions", "search")) else body)
    ) as server:
        shell = Shell({name: value or server.url for name, value in ENVIRONMENTS[target.provider].items()})
        for command in (["sessions", "get", "sess_1"], ["sessions", "list"]):
            ran = shell.run(*command, "--provider", target.provider, *options)
            assert ran.code == 0, ran
            check_harmless(ran.out + ran.err)
            assert "gpj.exe" in ran.out
            assert "[red]m[/red] :boom:" in ran.out


@every_target
@pytest.mark.parametrize("options", [[], ["--json"], ["--debug"]])
@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_a_hostile_error_is_shown_and_does_no_harm(target: Target, status: int, options: list[str]) -> None:
    error = {"message": HOSTILE, "type": HOSTILE, "code": HOSTILE}
    body = json.dumps(
        {"error": error, "detail": HOSTILE, "title": HOSTILE, "code": HOSTILE, "id": 5}, ensure_ascii=False
    )
    answer = http(status, body if status != 200 else f"{HOSTILE}", x_request_id="\x1b[31m", retry_after="3600")
    with FaultServer(answer) as server:
        shell = Shell({name: value or server.url for name, value in ENVIRONMENTS[target.provider].items()})
        ran = shell.run("sessions", "get", "sess_1", "--provider", target.provider, *options)

    assert ran.code != 0
    check_harmless(ran.out + ran.err)


@pytest.fixture(scope="module", params=list(TARGETS))
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_hostile_events_are_shown_and_do_no_harm(emulator: EmulatorHandle, options: list[str]) -> None:
    shell = shell_for(emulator)
    session = created(shell, emulator)

    for command in (["run", session, HOSTILE], ["messages", session], ["events", session, "--past"]):
        ran = shell.run(*command, *options)
        check_harmless(ran.out + ran.err)
        assert "gpj.exe" in ran.out or command[0] == "events", ran
        assert "boom" in ran.out or command[0] == "events", ran


# Other hosts.


@every_target
def test_no_cursor_of_a_list_leads_to_another_host(target: Target) -> None:
    page = target.whole["list"][0]
    with (
        FaultServer(http(200, "{}")) as elsewhere,
        Scripted(lambda _: led_to(elsewhere.url, page)) as server,
        client_of(target, server.url) as client,
        suppress(MalformedResponse),
    ):
        list(client.sessions.list())

    assert elsewhere.connections == 0
    assert len(server.requests) < ENOUGH
    assert all(said.startswith(("GET /", "POST /threads/search")) for said in server.targets)


def led_to(url: str, page: Any) -> Answer:
    """A page that says that the list continues elsewhere."""
    away = f"{url}/sessions"
    if isinstance(page, list):
        return http(200, json.dumps(page), x_pagination_next=away)
    links = {"next_url": away, "next_page": away, "has_more": True, "last_id": away, "total": None}
    return http(200, json.dumps(page | links))


@every_target
@pytest.mark.parametrize(
    "session_id", ["../../evil", "http://evil.example/x", "//evil.example", "x?y=1#z", "a\r\nHost: evil"]
)
def test_a_session_with_a_hostile_id_is_not_followed_astray(target: Target, session_id: str) -> None:
    body = json.dumps(target.whole["get"][0]).replace("sess_1", json.dumps(session_id)[1:-1])
    with Scripted(lambda _: http(200, body)) as server, client_of(target, server.url) as client:
        try:
            session = client.sessions.get("sess_1")
            client.sessions.delete(session)
        except (UsageError, NotFound, MalformedResponse):
            pass
    paths = {said.split(" ")[1].split("?")[0] for said in server.targets}
    assert all("evil" not in path or path.count("/") <= 3 for path in paths)
    assert not any(".." in path or "//" in path for path in paths)


def client_of(target: Target, url: str) -> Client:
    settings: dict[str, Any] = target.settings | {"base_url": url}
    return Client(target.provider, timeout=5, retry=RetryPolicy(attempts=2, first_wait_s=0), **settings)


# Memory, and time without end.


def cycling(*cursors: str) -> Callable[[str], Answer]:
    """Paginator of events that lead to each other in a circle."""
    turn = iter(range(10**9))

    def answer(_said: str) -> Answer:
        cursor = cursors[next(turn) % len(cursors)]
        event = {"id": "evt_1", "type": "agent.message", "content": [], "processed_at": "2026-11-22T03:55:46Z"}
        return http(200, json.dumps({"data": [event], "next_page": cursor, "has_more": True}))

    return answer


MESSAGE: dict[str, Any] = {
    "id": "m1",
    "name": "a",
    "role": "assistant",
    "content": [],
    "metadata": {},
    "created_at": "2026-11-22T03:55:46",
}
ENDLESS: dict[str, tuple[str, Callable[[str], Answer]]] = {
    "qoder, one page": ("qoder", cycling("p")),
    "qoder, two pages in a circle": ("qoder", cycling("p", "q")),
    "qoder, three pages in a circle": ("qoder", cycling("p", "q", "r")),
    "everruns, the same page for ever": (
        "everruns",
        lambda _: http(200, json.dumps({"data": [TARGETS["everruns"].whole["get"][0]], "total": 10**9, "limit": 1})),
    ),
    "agentscope, the same page for ever": (
        "agentscope",
        lambda _: http(200, json.dumps({"messages": [MESSAGE] * 200, "has_more": True, "event_cursor": "1-0"})),
    ),
    "agentscope, an old server that ignores the offset": (
        "agentscope",
        lambda _: http(200, json.dumps({"messages": [MESSAGE] * 200})),
    ),
}


@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.parametrize("operation", ["list", "messages", "events", "pending_actions"])
def test_pages_without_end_end_in_an_error(endless: str, operation: str) -> None:
    provider, answer = ENDLESS[endless]
    target = TARGETS[provider]
    uses: dict[str, Callable[[Client], Any]] = {
        "list": lambda client: list(client.sessions.list()),
        "messages": lambda client: list(client.sessions.messages(target.session)),
        "events": lambda client: list(client.sessions.events(target.session)),
        "pending_actions": lambda client: client.sessions.pending_actions(target.session),
    }
    with Scripted(answer) as server, client_of(target, server.url) as client, suppress(PolysessionError):
        uses[operation](client)

    assert len(server.requests) < ENOUGH
