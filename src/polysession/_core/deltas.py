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


message_delta: Final[Build[MessageDelta]] = _build(MessageDelta)
"""Builds a `MessageDelta` from its fields, as its constructor does, but faster."""
thinking_delta: Final[Build[ThinkingDelta]] = _build(ThinkingDelta)
"""Builds a `ThinkingDelta` from its fields, as its constructor does, but faster."""
tool_call_delta: Final[Build[ToolCallDelta]] = _build(ToolCallDelta)
"""Builds a `ToolCallDelta` from its fields, as its constructor does, but faster."""
tool_result_delta: Final[Build[ToolResultDelta]] = _build(ToolResultDelta)
"""Builds a `ToolResultDelta` from its fields, as its constructor does, but faster."""
