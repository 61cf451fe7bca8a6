"""A backend in whose sessions nothing has happened, so that a stream is opened; what the stream says is scripted."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from polysession.testing.fault_server import Answer, FaultServer, http, read_request, send_answer
from stress.targets import Target


class QuietBackend(FaultServer):
    """Answers streams as a function of the request says, and all else as if nothing had ever happened.

    Args:
        target: The backend.
        answer: Given the request's text, what the stream is.

    Attributes:
        streams: How many were asked for.
    """

    def __init__(self, target: Target, answer: Callable[[str], Answer]) -> None:
        super().__init__(http(200))
        self._target = target
        self._stream = answer
        self.streams = 0

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        is_stream = b"text/event-stream" in request
        self.streams += is_stream
        if not request:
            return
        text = request.decode("latin-1")
        read = self._target.read(text.split(" ")[1].partition("?")[0])
        send_answer(connection, self._stream(text) if is_stream else http(200, json.dumps(read)))
