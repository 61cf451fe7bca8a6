"""Validates the fields that only Qoder has.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/schemas (read 2026-11)
"""

from __future__ import annotations

import re

from polysession_managed_agents.emulator.validation import Json, invalid, need, only, take

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE_SEPARATORS = re.compile(r"[;\r\n]+")
_RESERVED_VARIABLES = frozenset({"SERVER_ENDPOINT", "USER_ID", "WORK_DIR"})
_RESERVED_VARIABLE_PREFIXES = ("CAW_", "QODER_")
_CREDIT_COST = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
_FLUSH_INTERVAL_MS = range(50, 5001)


def take_environment_variables(values: Json) -> dict[str, str]:
    """Read environment variables, an object or text such as `A=1;B=2`. Returns an object."""
    name = "environment_variables"
    given = values.get(name)
    variables: Json = _assignments(given) if isinstance(given, str) else take(values, name, dict) or {}
    for variable, value in variables.items():
        if not _VARIABLE_NAME.fullmatch(variable):
            raise invalid(f"{variable!r} is not a valid name of an environment variable.", name)
        if variable in _RESERVED_VARIABLES or variable.startswith(_RESERVED_VARIABLE_PREFIXES):
            raise invalid(f"Environment variable {variable!r} is reserved.", name)
        if not isinstance(value, str):
            raise invalid(f"Environment variable {variable!r} must be a string.", name)
    return variables


def _assignments(text: str) -> Json:
    variables: Json = {}
    for part in filter(None, _VARIABLE_SEPARATORS.split(text)):
        name, equals, value = part.partition("=")
        if not equals:
            raise invalid("Environment variables must be written as NAME=value.", "environment_variables")
        variables[name] = value
    return variables


def take_budget(values: Json) -> Json | None:
    """Read a limit in credits; None if the body has none."""
    budget = take(values, "budget", dict)
    if budget is None:
        return None
    only(budget, {"type", "max_credit_cost"})
    cost = need(budget, "max_credit_cost", str)
    if budget.get("type") != "limit" or not _CREDIT_COST.fullmatch(cost) or float(cost) == 0:
        raise invalid("A budget must have the type 'limit' and a positive decimal 'max_credit_cost'.", "budget")
    return budget


def check_flush_interval_ms(values: Json) -> None:
    """Check the legacy field for the milliseconds between deltas. Responses do not show it."""
    name = "delta_flush_interval_ms"
    interval_ms = take(values, name, int)
    if interval_ms is not None and interval_ms not in _FLUSH_INTERVAL_MS:
        raise invalid(f"Field {name!r} must be between 50 and 5000.", name)
