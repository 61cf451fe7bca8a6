from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from typing import Any

import pytest

from polysession.client import Client
from polysession.emulation import EmulatorHandle, Say, serve
from polysession.emulation import server as server_module
from polysession.emulation.loopback import LoopbackServer
from polysession.errors import PolysessionError, UnknownProvider, UsageError
from polysession.session import Session
from support.acme_emulator import AcmeEmulator

pytestmark = pytest.mark.usefixtures("acme_installed")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment stands between us and the loopback port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def title_of_a_session(handle: EmulatorHandle) -> str | None:
    with Client(handle.provider, **handle.settings) as client:
        return client.sessions.get("s1").title


def test_an_emulator_is_served_while_the_context_is_open() -> None:
    with serve("acme") as handle:
        assert title_of_a_session(handle) == "current"

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(handle.base_url.split(":")[2].split("/")[0]))) != 0
    assert not [thread for thread in threading.enumerate() if thread.name == "polysession-emulator"]


def test_the_handle_says_how_to_reach_it() -> None:
    with serve("acme") as handle:
        assert handle.settings == {"base_url": handle.base_url, "token": "any"}
        assert handle.base_url.startswith("http://127.0.0.1:")
        assert handle.base_url.endswith("/api")
        assert (handle.provider, handle.agent_id, handle.environment_id, handle.credential_id) == (
            "acme",
            "a1",
            "e1",
            None,
        )
        assert isinstance(handle.control, AcmeEmulator)


def test_an_older_generation_is_served_on_request() -> None:
    with serve("acme", generation="legacy") as handle:
        assert title_of_a_session(handle) == "legacy"


@pytest.mark.parametrize("generation", ["bogus", "seed", None, ["current"]])
def test_an_unknown_generation_is_a_usage_error(generation: Any) -> None:
    with pytest.raises(UsageError, match="expected 'current' or 'legacy'"), serve("acme", generation=generation):
        pass


def test_a_script_is_queued_for_any_session_or_for_one() -> None:
    with serve("acme") as handle:
        handle.script([Say("common")])
        handle.script([Say("by id")], session="s1")
        handle.script([Say("by record")], session=Session(id="s1", provider="acme"))
        taken = [handle.control.scripts.take(session_id, "x") for session_id in ("s1", "s1", "s2")]

    assert taken == [(Say("by id"),), (Say("by record"),), (Say("common"),)]


def test_an_action_runs_in_the_thread_of_the_server() -> None:
    with serve("acme") as handle:
        with pytest.raises(RuntimeError, match="no event loop before its first request"):
            handle.control.run_in_server(threading.current_thread)
        title_of_a_session(handle)

        assert handle.control.run_in_server(threading.current_thread).name == "polysession-emulator"
        with pytest.raises(ZeroDivisionError):
            handle.control.run_in_server(lambda: 1 // 0)


def test_an_emulator_need_not_count_its_streams() -> None:
    with serve("acme") as handle, pytest.raises(NotImplementedError, match="AcmeEmulator"):
        handle.control.open_streams("s1")


def test_several_are_served_at_once() -> None:
    with serve("acme") as one, serve("acme", generation="legacy") as two:
        assert (title_of_a_session(one), title_of_a_session(two)) == ("current", "legacy")


@pytest.mark.parametrize("port", [-1, 70_000])
def test_an_impossible_port_is_a_usage_error(port: int) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"), serve("acme", port=port):
        pass


def test_a_port_that_is_taken_is_a_usage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"), serve("acme", port=port):
            pass


def test_an_unknown_provider_is_not_served() -> None:
    with pytest.raises(UnknownProvider), serve("no-such-provider"):
        pass


class DeadServer(LoopbackServer):
    """Ends at once, and never listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets
        self.should_exit = True


def test_a_server_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_loopback_server", DeadServer)

    with pytest.raises(PolysessionError, match="did not start in time"), serve("acme"):
        pass


def test_an_error_inside_the_context_stops_the_server_and_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), serve("acme"):
        raise ZeroDivisionError

    assert not [thread for thread in threading.enumerate() if thread.name == "polysession-emulator"]


def test_a_connection_that_is_accepted_while_the_server_stops_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[socket.socket] = []

    class StoppingServer(LoopbackServer):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            late.append(socket.create_connection(self.servers[0].sockets[0].getsockname()))
            for _ in range(2):  # asyncio accepts the connection, and uvicorn does not know it yet
                await asyncio.sleep(0)
            await super().shutdown(sockets)

    monkeypatch.setattr(server_module, "_loopback_server", StoppingServer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with serve("acme"):
            pass
        with late[0] as connection:
            connection.settimeout(10)
            assert connection.recv(1) == b""
        gc.collect()
    assert not caught
