"""What Porter sends, in its own words. What a record can be without has a default."""

from __future__ import annotations

from typing import Any

import msgspec


class Answered(msgspec.Struct):
    """The envelope of every success."""

    result: msgspec.Raw


class Ask(msgspec.Struct):
    """A tool that Porter wants its caller to run."""

    call: str
    tool: str
    given: dict[str, Any] = {}


class Errand(msgspec.Struct):
    """What others call a session. Times are milliseconds since 1970."""

    no: int
    subject: str | None = None
    labels: dict[str, str] = {}
    doing: str = ""
    made: int = 0
    touched: int = 0
    notes: int = 0
    asks: Ask | None = None


class ErrandPage(msgspec.Struct):
    """A part of the list of errands."""

    errands: list[msgspec.Raw]
    total: int


class Note(msgspec.Struct):
    """What happened; the kind is in `note`, and the fields that a kind does not need are left out."""

    n: int
    at: int
    note: str
    text: str = ""
    call: str = ""
    tool: str = ""
    given: dict[str, Any] = {}
    failed: bool = False
    because: str = ""


class NotePage(msgspec.Struct):
    """A part of the notes of an errand."""

    notes: list[msgspec.Raw]
    more: bool = False


class Heard(msgspec.Struct):
    """The number of the first note that comes of what was said."""

    first: int


class Stopped(msgspec.Struct):
    """Whether there was something to stop."""

    stopped: bool
