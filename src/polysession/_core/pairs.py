"""Surrogate pairs that two pieces of a text share."""

from __future__ import annotations

from collections.abc import Hashable


class SplitPairs:
    """Joins surrogate pairs whose halves come in two pieces of a text. A half that stays alone becomes U+FFFD."""

    def __init__(self) -> None:
        self._halves: dict[Hashable, str] = {}

    def concern(self, part: Hashable, piece: str) -> bool:
        """Whether a piece may begin or end within a pair, so that it is to be read exactly, and joined.

        Args:
            part: The message, thought or call that the piece belongs to.
            piece: Its text as it was read, with U+FFFD for each half.
        """
        return "\ufffd" in piece or part in self._halves

    def join(self, part: Hashable, exact: str) -> str:
        """The text of a piece, with the half before it and without a half at its end.

        Args:
            part: As for `concern`.
            exact: The piece with its halves, as `json.loads` reads it.
        """
        text = self._halves.pop(part, "") + exact
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[part] = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def forget(self, part: Hashable) -> None:
        """Drop the half that a part waits with: it begins again."""
        self._halves.pop(part, None)
