"""Temporary: lets the plans of providers that were not brought to `plans` yet run on the new loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from polysession._core.flow import Call, Flow
from polysession._core.plans import BodyEnd, Finished, Head, Items, Reconcile, Reopen, Step, StreamPlan, TurnPlan
from polysession._core.sse import Frame
from polysession._core.stream import StreamPlan as OldStreamPlan
from polysession._core.stream import TurnPlan as OldTurnPlan
from polysession.event import Event

__all__ = ["OldStreamPlan", "OldTurnPlan", "adapted"]


class _Adapter(StreamPlan):
    def __init__(self, old: Any) -> None:
        self._old = old
        self.not_replayed = old.not_replayed
        self.is_resumed = old.is_resumed

    @property
    def cursor(self) -> str:  # type: ignore[override]
        return cast("str", self._old.cursor)  # None before the first event

    @property
    def silence_s(self) -> float | None:  # type: ignore[override]
        return cast("float", self._old.silence_s)

    def open(self) -> Call:
        return cast("Call", self._old.open())

    def read(self, frame: Frame) -> Items:
        events = self._old.read(frame)
        return self._with_steps(events if isinstance(events, tuple | list) else tuple(events))

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002
        self._old.reopen_after_s = None
        return self._with_steps(())

    def ended(self, end: BodyEnd) -> Items:
        self._old.broke_off(end.failure)
        return self._with_steps(())

    def reconcile(self) -> Flow[Items]:
        self._old.probe_due = False
        return self._with_steps((yield from self._old.probe()))

    def _with_steps(self, events: Sequence[Event]) -> Items:
        old = self._old
        steps: list[Step] = []
        if old.reopen_after_s is not None:
            steps.append(Reopen(old.reopen_after_s))
            old.reopen_after_s = None
        if old.probe_due:
            steps.append(Reconcile())
        if old.finished:
            steps.append(Finished())
        return (*events, *steps) if steps else events


class _TurnAdapter(_Adapter, TurnPlan):
    def send(self) -> Flow[None]:
        yield from self._old.send()

    def is_ours(self, event: Event) -> bool:
        return cast("bool", self._old.begins(event))


def adapted(flow: Flow[Any]) -> Flow[StreamPlan]:
    """The plan that a flow prepares, as a new one."""
    plan = yield from flow
    if isinstance(plan, OldTurnPlan):
        return _TurnAdapter(plan)
    return _Adapter(plan) if isinstance(plan, OldStreamPlan) else plan
