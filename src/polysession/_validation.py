"""Problems that pydantic finds in a caller's values, as text for a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

OWN_CHECK: Final = "Value error, "
"""Prefix that pydantic gives to the message of a custom check."""


def problem_text(item: Mapping[str, Any]) -> str:
    """Return the message of one item of `ValidationError.errors()`."""
    return str(item["msg"]).removeprefix(OWN_CHECK)


def problems_text(error: ValidationError) -> str:
    """Return all problems, each with the path of its value. The values are left out: they may be secret."""
    return "; ".join(
        ": ".join(filter(None, [".".join(str(part) for part in item["loc"]), problem_text(item)]))
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    )
