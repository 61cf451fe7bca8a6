"""Makes foreign text safe to print."""

from __future__ import annotations

import re
from typing import Final

_LONGEST_TITLE: Final = 80
_LOOKED_AT: Final = 16_384
"""Number of characters of a body that are searched: a title is near the start."""


def escaped(text: str, *, keep: str = "") -> str:
    """Return the text with unprintable characters escaped, so that it cannot control a terminal.

    Args:
        text: Text from any source.
        keep: Characters that are not escaped, such as line breaks.
    """
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def plain_text(content: bytes) -> str:
    """Describe a body that is not the backend's JSON: an HTML page by its title, other text by its start."""
    text = content.strip()[: 4 * _LOOKED_AT].decode("utf-8", errors="replace")[:_LOOKED_AT]
    if "<html" not in text.lower():
        return text
    found = re.search(r"<title[^<>]*>([^<]*)<", text, re.IGNORECASE)  # linear time for any text
    title = found[1].strip() if found else ""
    return f'an HTML page titled "{title}"' if 0 < len(title) <= _LONGEST_TITLE else "an HTML page"
