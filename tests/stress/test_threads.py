"""The first calls of a process may come from several threads at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
import httpx
from polysession import Client

SESSION = {"id": "sess_1", "agent": {"id": "a"}, "status": "idle", "usage": {"total_credits": 1.5}}


def answer(request):
    page = {"data": [SESSION], "has_more": False}
    return httpx.Response(200, json=page if request.url.path.endswith("/sessions") else SESSION)


def first_calls():
    try:
        ready.wait()
        with Client("qoder", token="t", http_client=httpx.Client(transport=httpx.MockTransport(answer))) as client:
            results.append((client.sessions.get("sess_1").id, [each.id for each in client.sessions.list()]))
    except BaseException as error:
        results.append(repr(error))


ready, results = threading.Barrier(8), []
threads = [threading.Thread(target=first_calls) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*map(str, set(map(str, results))))
"""


def test_eight_threads_make_the_first_calls_of_a_process() -> None:
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert (run.stdout, run.stderr) == ("('sess_1', ['sess_1'])\n", "")
