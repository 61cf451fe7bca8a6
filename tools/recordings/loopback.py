"""The HTTP server on a loopback port that tapes are recorded and played through."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LoopbackServer:
    """Serves in a thread of its own, one more for each connection.

    Args:
        handler: Answers the requests.
        owner: Attributes of the handler, such as whom it asks what to answer.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], **owner: object) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), owner))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def origin(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more; the port is free again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
