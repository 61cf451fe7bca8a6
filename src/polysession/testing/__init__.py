"""Tools for your own tests: tapes of real backends, and the provider contract as a test suite.

Needs the extra `polysession[testing]`. In the documentation, read "Test your code" as a user, and "Write a provider" as
the author of a provider. Each name is loaded when it is first used.
"""

import pytest

from polysession._lazy_names import lazy_names

# Before the modules are imported: pytest then explains their failed assertions as in a test module.
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
