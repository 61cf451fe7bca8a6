"""The types of resources that a Qoder session can mount.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from polysession.emulation import Generation, hex_id
from polysession_managed_agents.emulator.mounts import FILE, MEMORY_STORE, MountRules, repository


def _new_id() -> str:
    return hex_id("sesr_", 24)


MOUNTS: Mapping[Generation, MountRules] = {
    "current": MountRules(
        {
            "file": FILE,
            "github_repository": repository("authorization_token"),
            "git_repository": repository("password"),
            "memory_store": MEMORY_STORE,
        },
        _new_id,
    ),
    "legacy": MountRules({"file": FILE}, _new_id),
}
