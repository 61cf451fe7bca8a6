"""Joins surrogate pairs that are split between two pieces of a text."""

from __future__ import annotations

from collections.abc import Hashable


class SplitPairs:
    """Joins surrogate pairs whose halves come in two pieces of a text. A half without a partner becomes U+FFFD."""

    def __init__(self) -> None:
        self._halves: dict[Hashable, str] = {}

    def concern(self, part: Hashable, piece: str) -> bool:
        """Return whether a piece may begin or end within a pair, and so must be read exactly and joined.

        Args:
            part: The message, thought or call that the piece belongs to.
            piece: The text of the piece as it was read, with U+FFFD for each half.
        """
        return "\ufffd" in piece or part in self._halves

    def join(self, part: Hashable, exact: str) -> str:
        """Return the text of a piece, with the half before the piece and without a half at its end.

        Args:
            part: As for `concern`.
            exact: The piece with its halves, as `json.loads` reads it.
        """
        text = self._halves.pop(part, "") + exact
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[part] = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def forget(self, part: Hashable) -> None:
        """Drop the half that a part still holds, because the part starts again."""
        self._halves.pop(part, None)
