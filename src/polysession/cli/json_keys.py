"""JSON keys of the records that commands write, by their kind: those that `--fields` may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from polysession import Agent, Environment, Event, Message, Model, PendingAction, Session
from polysession.record import ReceivedRecord


def _keys(*records: type[ReceivedRecord], further: tuple[str, ...] = ("raw",)) -> tuple[str, ...]:
    """The keys of records of some types, each once."""
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
