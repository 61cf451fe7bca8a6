"""What Porter sends, in its own words. Unknown fields are kept, and what older servers leave out has a default."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Base of what Porter sends."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Answered(Wire):
    """The envelope of every success."""

    result: dict[str, Any]


class Ask(Wire):
    """A tool that Porter wants its caller to run."""

    call: str
    tool: str
    given: dict[str, Any] = {}


class Errand(Wire):
    """What others call a session. Times are milliseconds since 1970."""

    no: int
    subject: str | None = None
    labels: dict[str, str] = {}
    doing: str
    made: int
    touched: int
    notes: int = 0
    asks: Ask | None = None


class ErrandPage(Wire):
    """A part of the list of errands."""

    errands: list[dict[str, Any]]
    total: int


class Note(Wire):
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


class NotePage(Wire):
    """A part of the notes of an errand."""

    notes: list[dict[str, Any]]
    more: bool = False


class Heard(Wire):
    """The number of the first note that comes of what was said."""

    first: int


class Stopped(Wire):
    """Whether there was something to stop."""

    stopped: bool
