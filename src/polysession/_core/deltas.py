"""Builds deltas, which are nine of ten events of a stream.

pydantic checks the fields exactly as for the constructors of the deltas. A constructor also collects its keyword
arguments and makes a call of Python, which is a third of its cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import TypeAdapter

from polysession.event import MessageDelta, ThinkingDelta, ToolCallDelta, ToolResultDelta

D = TypeVar("D", MessageDelta, ThinkingDelta, ToolCallDelta, ToolResultDelta)
Build: TypeAlias = Callable[[Mapping[str, Any]], D]
"""Builds a delta from its fields. Raises `pydantic.ValidationError` if a field cannot hold its value."""


def _build(delta: type[D]) -> Build[D]:
    build: Build[D] = TypeAdapter(delta).validator.validate_python
    return build


message_delta: Final = _build(MessageDelta)
thinking_delta: Final = _build(ThinkingDelta)
tool_call_delta: Final = _build(ToolCallDelta)
tool_result_delta: Final = _build(ToolResultDelta)
