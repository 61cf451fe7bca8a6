"""Tests of one's own: tapes of real backends, and the contract of a provider as a suite of tests.

Needs the extra `polysession[testing]`. "Test your code" in the documentation is for users, and "Write a provider" for
authors of providers. Each name is loaded when it is first used.
"""

import pytest

from polysession._lazy_names import lazy_names

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
            "cuts",
            "declarations",
            "errors",
            "flows",
            "lifetimes",
            "lists",
            "owners",
            "page_answers",
            "resources",
            "sessions",
            "streams",
            "turn_faults",
            "turn_lives",
            "turns",
            "two_clients",
            "updates",
        )
    )
)

__getattr__, __dir__ = lazy_names(__name__, __file__)
