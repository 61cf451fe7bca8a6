"""Foreign text, made safe to print."""

from __future__ import annotations


def escaped(text: str, *, keep: str = "") -> str:
    """The text with what is not printable escaped: it cannot move a terminal's cursor, or colour it.

    Args:
        text: Text that may come from anywhere.
        keep: Characters that stay all the same, such as line breaks.
    """
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)
