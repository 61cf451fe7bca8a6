"""Bad input: no request is sent, and the error names the mistake."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

import pytest

from polysession import Client, Feature, NotFound, PolysessionError, Session, UsageError
from polysession.testing.backend import Backend
from polysession.testing.base import CANARY, ContractBase
from polysession.testing.faces import Face
from polysession.testing.fault_server import FaultServer, http
from polysession.testing.marks import covers, supports_one_of

_BAD_IDS: Final = ["", ".", "..", "../x", "a/b", "a\\b", "a\r\nX: y", "a b", "\x00", "\ud800"]
_ODD_IDS: Final = {
    "sitzung-ü-会": "sitzung-%C3%BC-%E4%BC%9A",
    "a?b=c": "a%3Fb%3Dc",
    "a#b": "a%23b",
    "a%2Fb": "a%252Fb",
    "%2e%2e": "%252e%252e",
    "a&b;c": "a%26b%3Bc",
    "...": "...",
}
_ON_A_SESSION: Final[dict[Feature, Callable[[Client, Any], object]]] = {
    Feature.SESSIONS_GET: lambda client, session: client.sessions.get(session),
    Feature.SESSIONS_UPDATE: lambda client, session: client.sessions.update(session),
    Feature.SESSIONS_DELETE: lambda client, session: client.sessions.delete(session),
    Feature.SESSIONS_CANCEL: lambda client, session: client.sessions.cancel(session),
    Feature.SESSIONS_ARCHIVE: lambda client, session: client.sessions.archive(session),
    Feature.SESSIONS_SEND: lambda client, session: client.sessions.send(session, "hello"),
    Feature.SESSIONS_MESSAGES: lambda client, session: list(client.sessions.messages(session)),
    Feature.SESSIONS_EVENTS: lambda client, session: list(client.sessions.events(session)),
    Feature.SESSIONS_PENDING_ACTIONS: lambda client, session: client.sessions.pending_actions(session),
}


class BadInputContract(ContractBase):
    """Impossible values are refused before a request is sent."""

    def refused(
        self, face: Face, backend: Backend, nowhere: FaultServer, use: Callable[[Client], object], **settings: Any
    ) -> PolysessionError:
        """Return the error of a call that sends nothing."""
        with (
            pytest.raises(UsageError) as caught,
            self.open(face, {**backend.settings, "base_url": nowhere.url, **settings}) as client,
        ):
            use(client)
        self.check_refusal(caught.value, nowhere)
        return caught.value

    def check_refusal(self, error: PolysessionError, nowhere: FaultServer) -> None:
        """Check that the error names the provider and can be printed, and that nothing was sent."""
        assert (error.provider, error.attempts) == (self.provider, 0)
        assert error.message.isprintable()
        assert nowhere.connections == 0

    def without_rivals(self, backend: Backend, name: str) -> dict[str, Any]:
        """Return the settings of the backend without those that exclude this setting."""
        one_of = self.declared().settings_type.one_of
        return {key: value for key, value in backend.settings.items() if name not in one_of or key not in one_of}

    @covers(needs=supports_one_of(_ON_A_SESSION))
    def test_a_malformed_session_id_is_not_sent(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        with self.open(face, {**backend.settings, "base_url": nowhere.url}) as client:
            for feature in filter(self.supports, _ON_A_SESSION):
                for bad in _BAD_IDS:
                    with pytest.raises(UsageError) as caught:
                        _ON_A_SESSION[feature](client, bad)
                    self.check_refusal(caught.value, nowhere)

    @covers(Feature.AGENTS_GET)
    def test_a_malformed_agent_id_is_not_sent(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        with self.open(face, {**backend.settings, "base_url": nowhere.url}) as client:
            for bad in _BAD_IDS:
                with pytest.raises(UsageError) as caught:
                    client.agents.get(bad)
                self.check_refusal(caught.value, nowhere)

    @covers(Feature.SESSIONS_DELETE)
    @pytest.mark.parametrize("session_id", _ODD_IDS)
    def test_an_odd_session_id_is_sent_as_one_segment(self, face: Face, backend: Backend, session_id: str) -> None:
        session = self.some_session(session_id)
        with (
            FaultServer(http(404)) as server,
            pytest.raises(NotFound),
            self.open(face, {**backend.settings, "base_url": f"{server.url}/base"}) as client,
        ):
            client.sessions.delete(session)

        (target,) = server.targets
        _, _, rest = target.partition(" /base/")
        assert _ODD_IDS[session_id] in rest.partition("?")[0].split("/")

    @covers(needs=supports_one_of(_ON_A_SESSION))
    def test_a_session_of_another_backend_is_not_sent(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        stranger = Session(provider="another-one", id="sess_1", agent_id="agent_1")
        with self.open(face, {**backend.settings, "base_url": nowhere.url}) as client:
            for feature in filter(self.supports, _ON_A_SESSION):
                with pytest.raises(UsageError, match="comes from provider 'another-one'") as caught:
                    _ON_A_SESSION[feature](client, stranger)
                self.check_refusal(caught.value, nowhere)

    @covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_PAGE_SIZE)
    @pytest.mark.parametrize("page_size", [0, -1, "ten"])
    def test_a_limit_that_is_none_is_not_sent(
        self, face: Face, backend: Backend, nowhere: FaultServer, page_size: Any
    ) -> None:
        self.refused(face, backend, nowhere, lambda client: list(client.sessions.list(page_size=page_size)))

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_TITLE)
    def test_a_value_of_the_wrong_type_is_not_sent(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        title: Any = ["a", "list"]
        error = self.refused(face, backend, nowhere, lambda client: self.new_session(client, backend, title=title))
        assert "title" in error.message

    @covers(Feature.SESSIONS_SEND)
    @pytest.mark.parametrize("content", ["", [], 5, [5]], ids=str)
    def test_an_empty_message_is_not_sent(
        self, face: Face, backend: Backend, nowhere: FaultServer, content: Any
    ) -> None:
        session = self.some_session()
        self.refused(face, backend, nowhere, lambda client: client.sessions.send(session, content))

    @covers()
    @pytest.mark.parametrize("bad", ["\r\nX: y", " ", "/\n", "?x=1", "#x"])
    def test_an_address_that_is_none_makes_no_client(
        self, face: Face, backend: Backend, nowhere: FaultServer, bad: str
    ) -> None:
        error = self.refused(face, backend, nowhere, lambda _: None, base_url=nowhere.url + bad)
        assert "base_url" in error.message

    @covers()
    def test_an_unknown_setting_makes_no_client(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        error = self.refused(face, backend, nowhere, lambda _: None, no_such_setting="x")
        assert "no_such_setting" in error.message
        assert "base_url" in error.message, "the message lists what is accepted"

    @covers(Feature.SESSIONS_GET, needs=lambda declared: len(declared.settings_type.model_fields) > 1)
    @pytest.mark.parametrize("end", ["\r\nX-Admin: 1", "\n", "\x00", "ü"], ids=ascii)
    def test_a_setting_breaks_out_of_nothing(self, face: Face, backend: Backend, end: str) -> None:
        """Either no client is created and the error does not show the setting, or no line of it is in the request."""
        session = self.some_session()
        for name in self.declared().settings_type.model_fields:
            if name == "base_url":
                continue
            with FaultServer(http(404)) as server:
                settings = {**self.without_rivals(backend, name), "base_url": server.url, name: CANARY + end}
                with pytest.raises(PolysessionError) as caught, self.open(face, settings) as client:
                    client.sessions.get(session)
            heads = [request.partition(b"\r\n\r\n")[0].lower() for request in server.requests]
            assert not any(b"\nx-admin:" in head or b"\0" in head for head in heads), name
            if not heads:
                assert name in caught.value.message
                assert CANARY not in "".join(traceback.format_exception(caught.value))
