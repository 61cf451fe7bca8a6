"""A backend in whose sessions nothing has happened, so that a stream is opened; what the stream says is scripted."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from polysession.testing.fault_server import Answer, FaultServer, http, read_request, send_answer

NOTHING = json.dumps({"data": [], "messages": [], "has_more": False, "event_cursor": None, "status": "idle"})


class QuietBackend(FaultServer):
    """Answers streams as a function of the request says, and all else as if nothing had ever happened.

    Args:
        answer: Given the request's text, what the stream is.

    Attributes:
        streams: How many were asked for.
    """

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__(http(200, NOTHING))
        self._stream = answer
        self.streams = 0

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        is_stream = b"text/event-stream" in request
        self.streams += is_stream
        if request:
            send_answer(connection, self._stream(request.decode("latin-1")) if is_stream else http(200, NOTHING))
