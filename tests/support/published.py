"""Compares an emulator's responses with published examples by keys and types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CASSETTES = Path(__file__).parents[2] / "cassettes"


@dataclass(frozen=True)
class Example:
    """One published exchange.

    Attributes:
        request: Body of the request; empty for a request without a body.
        status: Status of the response.
        answer: Body of the response.
    """

    request: dict[str, Any]
    status: int
    answer: dict[str, Any]


def example(name: str) -> Example:
    """Return the first exchange with a request body in a file of `cassettes/`."""
    return next(each for each in exchanges(name) if each.request)


def exchanges(name: str) -> list[Example]:
    """Return all exchanges in a file of `cassettes/`."""
    return [_example(each["request"], each["response"]) for each in _interactions(name)]


def frames(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of the stream in a file, each with the name of its frame.

    The stream is the last exchange.
    """
    events = []
    for frame in _interactions(name)[-1]["response"]["body"]["string"].strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines())
        events.append((fields["event"], json.loads(fields["data"])))
    return events


def _interactions(name: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = yaml.load((CASSETTES / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    interactions: list[dict[str, Any]] = document["interactions"]
    return interactions


def _example(request: dict[str, Any], response: dict[str, Any]) -> Example:
    answer = json.loads(response["body"]["string"])
    return Example(json.loads(request["body"] or "{}"), response["status"]["code"], answer)


def differences(published: Any, answered: Any, path: str = "") -> list[str]:
    """Return the differences of two JSON values in keys and types, in both directions.

    Items of the answered list are compared with the first item of the published one. If one list is empty, the items of
    the other are not compared.
    """
    if isinstance(published, dict) and isinstance(answered, dict):
        missing = [f"{path}.{name}: missing" for name in published.keys() - answered.keys()]
        extra = [f"{path}.{name}: not published" for name in answered.keys() - published.keys()]
        shared = sorted(published.keys() & answered.keys())
        inner = [found for name in shared for found in differences(published[name], answered[name], f"{path}.{name}")]
        return sorted(missing + extra) + inner
    if isinstance(published, list) and isinstance(answered, list):
        return [found for item in answered if published for found in differences(published[0], item, f"{path}[]")]
    if _kind(published) != _kind(answered):
        return [f"{path}: {_kind(published)} published, {_kind(answered)} answered"]
    return []


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
