"""Text of a backend, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with control characters escaped, except line breaks and tabs: it cannot move the cursor or colour."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
