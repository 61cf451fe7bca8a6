"""The contract suite on the real ADK API server, with a model that follows the script."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from polysession.testing import Backend, ProviderContract, ServerProcess, proxy


class TestAdkServer(ProviderContract):
    provider = "adk"
    evidence = "live"
    has_status_word = False
    patience_s = 60.0

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, adk_server: ServerProcess) -> Iterator[Backend]:
        """Return a backend for a new user of the server, behind a proxy that can inject faults."""
        user = f"user-{uuid.uuid4().hex}"
        with proxy(adk_server.base_url) as (base_url, faults):
            settings = {"base_url": base_url, "app": "assistant", "user_id": user}
            yield Backend(settings=settings, faults=faults, agent_id="assistant")
