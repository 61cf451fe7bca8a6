"""JSON keys of the records that commands write, by kind of record. `--fields` may name these keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from polysession import Agent, Environment, Event, Message, Model, PendingAction, Session
from polysession.record import ReceivedRecord


def _keys(*records: type[ReceivedRecord], further: tuple[str, ...] = ("raw",)) -> tuple[str, ...]:
    """Return the keys of records of some types, without duplicates."""
    names = dict.fromkeys(name for record in records for name in record.model_fields if name != "source")
    return (*names, *further)


KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "session": _keys(Session),
    "agent": _keys(Agent),
    "environment": _keys(Environment),
    "model": _keys(Model),
    "message": _keys(Message),
    "action": _keys(*get_args(PendingAction), further=()),
    "event": _keys(*get_args(Event), further=("cursor", "raw")),
}
