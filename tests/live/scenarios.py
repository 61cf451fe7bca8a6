"""Scenarios that an emulator and its real server answer alike, and names for what differs between the two."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Names in braces in the path and the body stand for ids of the side that is asked.

    Attributes:
        method: HTTP method.
        path: Path and query.
        body: Sent as JSON, unless it is bytes; None sends none.
        headers: Headers besides the content type of JSON.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """Its headers. Each request has a connection of its own, because a server may reset one after an error."""
        return {"content-type": "application/json", "connection": "close", **self.headers}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps, one after another: requests, and what else the sides of a backend can perform."""

    name: str
    steps: tuple[Any, ...]


class Side(ABC):
    """One of the two servers.

    Attributes:
        ids: Ids and whatever else is random in texts: each becomes a name, in the order of appearance.
        times: Keys of JSON whose values are compared by their type alone.
        filled: What names in braces stand for.
    """

    ids: ClassVar[re.Pattern[str]]
    times: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self.filled: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def play(self, scenario: Scenario) -> list[Any]:
        """The comparable parts of what each step brought."""
        self.prepare(scenario.name)
        return [self.perform(step) for step in scenario.steps]

    @abstractmethod
    def prepare(self, name: str) -> None:
        """Create what the scenario needs."""

    @abstractmethod
    def perform(self, step: Any) -> Any:
        """The comparable parts of what a step brings."""

    def content(self, body: Any) -> bytes | None:
        """The body of a request."""
        return body if isinstance(body, bytes | None) else self.fill(json.dumps(body)).encode()

    def fill(self, text: str) -> str:
        """The text with ids in the place of names in braces."""
        for name, value in self.filled.items():
            text = text.replace(name, value)
        return text

    def named(self, value: Any, key: str = "") -> Any:
        """A JSON value with names in the place of what differs between two servers."""
        if key in self.times:
            return type(value).__name__
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: "" if self.ids.fullmatch(member[0]) else member[0])
            return {self.text(name): self.named(each, name) for name, each in members}
        if isinstance(value, list):
            return [self.named(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """The text with names in the place of ids."""
        return self.ids.sub(lambda match: self._names.setdefault(match[0], f"<id {len(self._names)}>"), text)


def check_alike(scenario: Scenario, real: Side, emulated: Side) -> None:
    """Both sides bring the same at each step."""
    for step, expected, found in zip(scenario.steps, real.play(scenario), emulated.play(scenario), strict=True):
        assert found == expected, step
