"""How tables for people show what a provider supports, in one column of one character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from polysession import Support

SUPPORT_STYLES: Final[Mapping[Support, str]] = {
    Support.NATIVE: "green",
    Support.EMULATED: "yellow",
    Support.UNSUPPORTED: "red",
}
SUPPORT_LEGEND: Final = "N native, E emulated, - unsupported"
_MARKS: Final[Mapping[Support, str]] = {Support.NATIVE: "N", Support.EMULATED: "E", Support.UNSUPPORTED: "-"}


def support_mark(support: Support) -> Text:
    """The mark of a kind of support; `SUPPORT_LEGEND` explains it."""
    return Text(_MARKS[support], SUPPORT_STYLES[support])
