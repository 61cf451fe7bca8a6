"""Foreign text, made safe to print."""

from __future__ import annotations

import re
from typing import Final

_LONGEST_TITLE: Final = 80
_LOOKED_AT: Final = 16_384
"""Characters of a body that are looked at: a title stands near the start."""


def escaped(text: str, *, keep: str = "") -> str:
    """The text with what is not printable escaped: it cannot move a terminal's cursor, or colour it.

    Args:
        text: Text that may come from anywhere.
        keep: Characters that stay all the same, such as line breaks.
    """
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def plain_text(content: bytes) -> str:
    """A body that is not the backend's JSON, in words: an HTML page and its title, or the start of the text itself."""
    text = content.strip()[: 4 * _LOOKED_AT].decode("utf-8", errors="replace")[:_LOOKED_AT]
    if "<html" not in text.lower():
        return text
    found = re.search(r"<title[^<>]*>([^<]*)<", text, re.IGNORECASE)  # linear in the text, whatever it is
    title = found[1].strip() if found else ""
    return f'an HTML page titled "{title}"' if 0 < len(title) <= _LONGEST_TITLE else "an HTML page"
