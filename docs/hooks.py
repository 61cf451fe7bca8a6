"""Hooks of the site's build: long names in tables get places where a narrow screen may break them."""

from __future__ import annotations

import re
from typing import Any

_CELL = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
_LONG_NAME = re.compile(r"(?<=>)[^<>]+(?=<)")
_BREAK = re.compile(r"(?<=[\w\]}][./_=(,])(?=[^\s./_=(,<)])")
_FITS = 8
"""Characters of a name that every column has room for."""


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with `<wbr>` behind the dots, slashes and underscores of long names in tables."""
    return _CELL.sub(lambda cell: _LONG_NAME.sub(_with_breaks, cell.group()), html)


def _with_breaks(text: re.Match[str]) -> str:
    words = re.split(r"(\s+)", text.group())
    return "".join(_BREAK.sub("<wbr>", word) if len(word) > _FITS else word for word in words)
