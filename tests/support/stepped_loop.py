"""The stream loop with a simulated clock. Its effects are performed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from polysession._core.effects import Drain, Effect, Now, Open, Ready, Receive, Run, Wait
from polysession._core.flow import Call, Flow, Response
from polysession._core.plans import Head, StreamPlan
from polysession._core.retry import RetryPolicy
from polysession._core.streams import StreamLoop
from polysession.errors import PolysessionError
from polysession.event import Event
from support.flows import ok

Answer = Response | PolysessionError
SECONDS_PER_RECEIVE = 0.001


class SteppedLoop:
    """Follows a plan with bytes from `feed`.

    Args:
        plan: The plan.
        retry: Policy for reopening the stream.
        answer: Function that answers the calls of flows; `{}` by default.
        open_with: Result of each opening, in order: a head, or an error to raise. The last one repeats.
        seconds_per_call: Duration of each call of a flow.
        options: Options of `StreamLoop`.

    Attributes:
        now_s: Time of the clock, in seconds. A wait takes its upper bound.
        effects: The performed effects.
        error: The error that the loop raised; None while it runs, or if it raised none.
        ended: Whether the loop has ended.
    """

    def __init__(
        self,
        plan: StreamPlan,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  (frozen)
        *,
        answer: Callable[[Call], Answer] = lambda _: ok({}),
        open_with: Sequence[Head | PolysessionError] = (Head(200, {}),),
        seconds_per_call: float = 0.0,
        **options: Any,
    ) -> None:
        self._seconds_per_call = seconds_per_call
        self.now_s = 1000.0
        self.effects: list[Effect] = []
        self.error: PolysessionError | None = None
        self.ended = False
        self.cursors: list[str | None] = []
        self._answer = answer
        self._openings = list(open_with)
        self.loop = StreamLoop(lambda: _prepared(plan), retry, **{"can_wake": True, **options})
        self._steps = self.loop.run()
        self._item: Effect | Ready | Event | None = None
        self.began_with = self._advance(next, self._steps)

    @property
    def openings(self) -> list[Call]:
        """The calls that opened the stream."""
        return [effect.call for effect in self.effects if isinstance(effect, Open)]

    @property
    def waits(self) -> list[tuple[float, float]]:
        """Bounds of each wait."""
        return [(effect.least_s, effect.most_s) for effect in self.effects if isinstance(effect, Wait)]

    def feed(self, *received: bytes | PolysessionError | None) -> list[Event]:
        """Return the events for received data.

        Data are bytes, `b""` for the end, None for a wake-up, or an error.
        """
        events: list[Event] = []
        for each in received:
            assert isinstance(self._item, Receive), f"the loop does not wait for bytes: {self._item}"
            self.now_s += SECONDS_PER_RECEIVE
            if each is None and self._item.wake_s is not None:
                self.now_s = max(self.now_s, self._item.wake_s)
            if isinstance(each, PolysessionError):
                events += self._advance(self._steps.throw, each)
            else:
                events += self._advance(self._steps.send, each)
        return events

    def wait_for_bytes(self, seconds: float) -> None:
        """Let time pass while the loop waits for bytes."""
        self.now_s += seconds

    def _advance(self, advance: Callable[..., Any], *arguments: Any) -> list[Event]:
        """Return the events until the loop waits for bytes or ends."""
        events: list[Event] = []
        try:
            item = advance(*arguments)
            while not isinstance(item, Receive):
                if isinstance(item, Effect):
                    self.effects.append(item)
                    try:
                        result = self._perform(item)
                    except PolysessionError as error:
                        item = self._steps.throw(error)
                    else:
                        item = self._steps.send(result)
                    continue
                if not isinstance(item, Ready):
                    events.append(item)
                    self.cursors.append(self.loop.cursor)
                item = next(self._steps)
            self._item = item
        except StopIteration:
            self.ended, self._item = True, None
        except PolysessionError as error:
            self.ended, self.error, self._item = True, error, None
        return events

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Now():
                return self.now_s
            case Open():
                opening = self._openings.pop(0) if len(self._openings) > 1 else self._openings[0]
                if isinstance(opening, PolysessionError):
                    raise opening
                return opening
            case Run():
                return self._run(effect.start())
            case Wait():
                self.now_s += effect.most_s
            case Drain():
                return None
        return None

    def _run(self, flow: Flow[Any]) -> Any:
        try:
            call = next(flow)
            while True:
                self.now_s += self._seconds_per_call
                answer = self._answer(call)
                call = flow.throw(answer) if isinstance(answer, PolysessionError) else flow.send(answer)
        except StopIteration as stop:
            return stop.value


def _prepared(plan: StreamPlan) -> Flow[StreamPlan]:
    yield from ()
    return plan
