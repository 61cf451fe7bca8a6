"""Where a file of evidence comes from: the header that every cassette and tape begins with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

CASSETTES: Final = Path(__file__).parents[2] / "cassettes"
"""Where the files live, as `<backend>/{recorded,documented,streams}/`."""

_RECORD: Final = "nox -s record -- "
_FOLDERS: Final = {"recorded": ("recorded", "streams"), "documented": ("documented",)}


class BadEvidence(Exception):  # noqa: N818  (as the library's own errors, it says what happened)
    """A file of evidence is not as it must be; the message says what is wrong with it."""


class Provenance(BaseModel):
    """The header of a file of evidence.

    Attributes:
        kind: `recorded`, when a real service answered; `documented`, when its vendor published the exchange.
        backend: Name of the provider.
        service: What answered, or whose pages these are.
        version: Of the service; of documents, their generation or the month of their publication.
        date: When it was recorded, or read.
        make_again: Command that records it again; empty for what is documented.
        sources: Addresses of the pages, for what is documented.
        note: For what is documented: what was filled in, and why. For recordings: what one should know.
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
            raise ValueError(f"a recording says how to make it again: make_again is not {_RECORD + self.backend!r}")
        if self.kind == "documented" and not (self.sources and self.note):
            raise ValueError("a documented exchange names its `sources`, and in `note` what was filled in")
        if self.date > dt.datetime.now(dt.UTC).date():
            raise ValueError(f"date {self.date} is in the future")
        return self

    @classmethod
    def of_recording(cls, source: str, service: str, version: str, note: str = "") -> Self:
        """The header of what is recorded today.

        Args:
            source: What follows `nox -s record --`: the backend's name, or that and `-legacy`.
            service: What answers.
            version: Of the service.
            note: What one should know.
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
        """Whether the file stands in the folder of its backend and kind."""
        return path.parent.parent.name == self.backend and path.parent.name in _FOLDERS[self.kind]

    def to_body(self) -> dict[str, object]:
        """The header as plain values, without what is empty."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}
