"""A stub of the OpenAI chat completions endpoint that the real service calls.

The name of the model chooses the script of the responses: `plain` responds at once, `slow` takes ten seconds, and
`scripted` behaves like the emulators' scripted agent.
https://platform.openai.com/docs/api-reference/chat/streaming (read 2026-11)
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from live.agentscope_service.model_scripts import Answer, answer_to

_USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@contextlib.contextmanager
def serve_models() -> Iterator[str]:
    """Serve the scripts on a free loopback port. Yields the base URL for a credential."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Completions)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="model-stub")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Completions(BaseHTTPRequestHandler):
    requests: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        """Return the key, the model and the number of messages of each request so far."""
        body = json.dumps(self.requests).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(
            {"key": self.headers.get("Authorization"), "messages": len(request["messages"]), "model": request["model"]}
        )
        answer = answer_to(request) if self.path == "/v1/chat/completions" else None
        if answer is None:
            self.send_error(404, f"no script for {self.path} {request['model']}")
            return
        if answer.status is not None:
            self.send_error(answer.status)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if request.get("stream") else "application/json")
        self.end_headers()
        # The service closes the connection when its run is interrupted.
        with contextlib.suppress(ConnectionError):
            self._say(answer, request["model"])

    def _say(self, answer: Answer, model: str) -> None:
        for delta in answer.deltas:
            self._send_chunk(model, [{"index": 0, "delta": {"role": "assistant", **delta}}])
            time.sleep(answer.pause_s)
        self._send_chunk(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        self._send_chunk(model, [], usage=_USAGE)
        self._send_frame("[DONE]")

    def _send_chunk(self, model: str, choices: list[dict[str, Any]], **extra: Any) -> None:
        chunk = {"id": "stub", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices}
        self._send_frame(json.dumps(chunk | extra))

    def _send_frame(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name in the base class)
        """Write no log lines into the output of the tests."""
