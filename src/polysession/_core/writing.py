"""Writes common fields back into a wire object."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from polysession.session import Session

Writer: TypeAlias = Callable[[dict[str, Any], Any], None]
"""Writes one field's value into a wire object."""


def write_back(
    session: Session, to_session: Callable[[dict[str, Any]], Session], writers: Mapping[str, Writer]
) -> dict[str, Any]:
    """The wire object of a session: its `raw`, with the fields that differ from it written anew.

    A field that says the same as before keeps its own spelling, such as a time's digits, and a key that we do not
    know stays. A session without `raw` gets every field.

    Args:
        session: The session.
        to_session: The provider's reader of wire objects.
        writers: How the provider writes each field that its backend has.
    """
    wire = copy.deepcopy(session.raw)
    before = to_session(wire) if wire else None
    for name, write in writers.items():
        value = copy.deepcopy(getattr(session, name))
        if before is None or getattr(before, name) != value:
            write(wire, value)
    return wire
