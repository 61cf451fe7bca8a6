"""The header of every cassette and tape, which states its origin."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

CASSETTES: Final = Path(__file__).parents[2] / "cassettes"
"""Folder of the recordings, in `<backend>/{recorded,documented,streams}/`."""

_RECORD: Final = "nox -s record -- "
_FOLDERS: Final = {"recorded": ("recorded", "streams"), "documented": ("documented",)}


class BadEvidence(Exception):  # noqa: N818  (named like the library's own errors)
    """A recording is invalid, or must not be stored."""


class Provenance(BaseModel):
    """The header of a recording or of a documented exchange.

    Attributes:
        kind: `recorded` for responses of a real service, `documented` for an exchange that its vendor published.
        backend: Name of the provider.
        service: Service that answered, or owner of the pages.
        version: Version of the service, or generation or month of the documentation.
        date: Day of the recording, or of reading the pages.
        make_again: Command that records it again; empty for a documented exchange.
        sources: URLs of the pages, for a documented exchange.
        note: For a documented exchange: parts that were added, and the reason. For a recording: a remark.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["recorded", "documented"]
    backend: str = Field(pattern="^[a-z]+$")
    service: str = Field(min_length=1)
    version: str = Field(min_length=1)
    date: dt.date
    make_again: str = ""
    sources: tuple[HttpUrl, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind == "recorded" and not self.make_again.startswith(_RECORD + self.backend):
            raise ValueError(f"the `make_again` of a recording must begin with {_RECORD + self.backend!r}")
        if self.kind == "documented" and not (self.sources and self.note):
            raise ValueError("a documented exchange needs `sources`, and a `note` about added parts")
        if self.date > dt.datetime.now(dt.UTC).date():
            raise ValueError(f"date {self.date} is in the future")
        return self

    @classmethod
    def of_recording(cls, source: str, service: str, version: str, note: str = "") -> Self:
        """Return the header of a recording of today.

        Args:
            source: Argument of `nox -s record --`: the backend's name, or that with `-legacy`.
            service: Service that answers.
            version: Version of the service.
            note: A remark.
        """
        today = dt.datetime.now(dt.UTC).date()
        return cls(
            kind="recorded",
            backend=source.partition("-")[0],
            service=service,
            version=version,
            date=today,
            make_again=_RECORD + source,
            note=note,
        )

    def fits(self, path: Path) -> bool:
        """Whether a path is in the folder of this backend and kind."""
        return path.parent.parent.name == self.backend and path.parent.name in _FOLDERS[self.kind]

    def to_body(self) -> dict[str, object]:
        """Return the header as plain values, without empty ones."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}
