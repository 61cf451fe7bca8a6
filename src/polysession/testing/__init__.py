"""The contract of a provider, as tests: write one, point a class at it, and get every behavioural test of ours.

Needs the extra `polysession[testing]`. See `ProviderContract`, and "Write a provider" in the documentation.
"""

import pytest

# Before the modules are imported: their assertions explain themselves like those of a test module.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{theme}"
        for theme in (
            "actions",
            "agents",
            "bad_input",
            "base",
            "comparing",
            "declarations",
            "errors",
            "flows",
            "lifetimes",
            "lists",
            "sessions",
            "streams",
            "turns",
            "updates",
        )
    )
)

from polysession.testing.backend import Backend, Script  # noqa: E402
from polysession.testing.base import CANARY  # noqa: E402
from polysession.testing.contract import BackendContract, ProviderContract  # noqa: E402
from polysession.testing.errors import ErrorContract  # noqa: E402
from polysession.testing.faces import Face  # noqa: E402
from polysession.testing.flows import ok, step  # noqa: E402
from polysession.testing.marks import (  # noqa: E402
    Gap,
    covers,
    features_shown,
    never,
    not_done_here,
    not_offered_yet,
)
from polysession.testing.proxy import proxy  # noqa: E402
from polysession.testing.server_process import ServerProcess, process  # noqa: E402

__all__ = [
    "CANARY",
    "Backend",
    "BackendContract",
    "ErrorContract",
    "Face",
    "Gap",
    "ProviderContract",
    "Script",
    "ServerProcess",
    "covers",
    "features_shown",
    "never",
    "not_done_here",
    "not_offered_yet",
    "ok",
    "process",
    "proxy",
    "step",
]
