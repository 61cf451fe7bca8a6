"""The contract on a real server of the helpdesk.

`HELPDESK_SERVER` is the command that starts one, with `{port}` where its port belongs, and `HELPDESK_KEY` its key.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
from collections.abc import Iterator

import pytest

from polysession.testing import Backend, ProviderContract, ServerProcess, never, process, proxy

COMMAND = os.environ.get("HELPDESK_SERVER", "")


def accepts(server: ServerProcess) -> bool:
    """Whether the server accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port)):
        return True
    return False


@pytest.mark.skipif(not COMMAND, reason="HELPDESK_SERVER names no server")
class TestRealHelpdesk(ProviderContract):
    """The same tests. `proxy` puts faults between the client and the server."""

    provider = "helpdesk"
    evidence = "live"
    gaps = {"test_a_turn_with_thinking": never("the helpdesk shows no thoughts", raises=AssertionError)}

    @classmethod
    @contextlib.contextmanager
    def serve(cls) -> Iterator[Backend]:
        with process(shlex.split(COMMAND), ready=accepts) as server, proxy(server.base_url) as (base_url, faults):
            yield Backend(settings={"base_url": base_url, "key": os.environ["HELPDESK_KEY"]}, faults=faults)
