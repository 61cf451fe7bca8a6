"""Temporary: the new plans in the shape that the old loop takes. Deleted with the old loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Frame,
    Head,
    OldStreamPlan,
    OldTurnPlan,
    PolysessionError,
    Reconcile,
    Reopen,
    Step,
    TurnPlan,
)


class _Old(OldStreamPlan):
    def __init__(self, plan: Any) -> None:
        super().__init__()
        self._plan = plan
        self._has_broken = False
        self.not_replayed = plan.not_replayed
        self.is_resumed = plan.is_resumed

    @property
    def cursor(self) -> str | None:
        return str(self._plan.cursor)

    def open(self) -> Call:
        call: Call = self._plan.open()
        self.probe_due = False
        self._events(self._plan.opened(Head(200, {}), again=self._has_broken))
        return call

    def read(self, frame: Frame) -> Sequence[Event]:
        return self._events(self._plan.read(frame))

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002
        self._has_broken = True

    def probe(self) -> Flow[Sequence[Event]]:
        return self._events((yield from self._plan.reconcile()))

    def _events(self, items: Sequence[Any]) -> Sequence[Event]:
        for item in items:
            if isinstance(item, Reopen):
                self.reopen_after_s = item.after_s
            if isinstance(item, Reconcile) and not item.after_s:
                self.probe_due = True
        return tuple(item for item in items if not isinstance(item, Step))


class _OldTurn(_Old, OldTurnPlan):
    def send(self) -> Flow[None]:
        yield from self._plan.send()

    def begins(self, event: Event) -> bool:
        return bool(self._plan.is_ours(event))


def old(flow: Flow[Any]) -> Flow[Any]:
    """The plan that a flow prepares, as an old one."""
    plan = yield from flow
    return _OldTurn(plan) if isinstance(plan, TurnPlan) else _Old(plan)
