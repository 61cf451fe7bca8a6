"""Scenarios with the same responses from an emulator and its real server.

Random values are replaced by names before the comparison.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Names in braces in the path and the body are replaced by the ids of each side.

    Attributes:
        method: HTTP method.
        path: Path and query.
        body: Body to send as JSON, or bytes to send unchanged; None sends no body.
        headers: Headers besides the content type of JSON.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """Headers of the request.

        Each request uses a new connection, because a server may reset it after an error.
        """
        return {"content-type": "application/json", "connection": "close", **self.headers}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps in sequence: requests, and other steps that the sides of a backend can perform."""

    name: str
    steps: tuple[Any, ...]


class Side(ABC):
    """One of the two servers.

    Attributes:
        ids: Pattern of ids and other random texts. Each match becomes a name, in order of first appearance.
        times: Keys of JSON whose values are compared only by their type.
        filled: Values for the names in braces.
    """

    ids: ClassVar[re.Pattern[str]]
    times: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self.filled: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def play(self, scenario: Scenario) -> list[Any]:
        """Return the comparable parts of each step's result."""
        self.prepare(scenario.name)
        return [self.perform(step) for step in scenario.steps]

    @abstractmethod
    def prepare(self, name: str) -> None:
        """Create the resources that the scenario needs."""

    @abstractmethod
    def perform(self, step: Any) -> Any:
        """Return the comparable parts of a step's result."""

    def content(self, body: Any) -> bytes | None:
        """Return the body of a request."""
        return body if isinstance(body, bytes | None) else self.fill(json.dumps(body)).encode()

    def fill(self, text: str) -> str:
        """Return a text with ids in place of the names in braces."""
        for name, value in self.filled.items():
            text = text.replace(name, value)
        return text

    def named(self, value: Any, key: str = "") -> Any:
        """Return a JSON value with names in place of random parts."""
        if key in self.times:
            return type(value).__name__
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: "" if self.ids.fullmatch(member[0]) else member[0])
            return {self.text(name): self.named(each, name) for name, each in members}
        if isinstance(value, list):
            return [self.named(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Return a text with names in place of ids."""
        return self.ids.sub(lambda match: self._names.setdefault(match[0], f"<id {len(self._names)}>"), text)


def check_alike(scenario: Scenario, real: Side, emulated: Side) -> None:
    """Check that both sides have the same result for each step."""
    for step, expected, found in zip(scenario.steps, real.play(scenario), emulated.play(scenario), strict=True):
        assert found == expected, step
