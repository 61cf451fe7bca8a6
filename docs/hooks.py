"""Hooks of the site's build: long names in tables get places where a narrow screen may break them."""

from __future__ import annotations

import re
from typing import Any

_CELL = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
_CODE = re.compile(r"<code>(.*?)</code>", re.DOTALL)
_BREAK = re.compile(r"(?<=[\w\]}][./_=(,])(?=[^\s./_=(,<)])")


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with `<wbr>` behind the dots, slashes and underscores of code in tables."""
    return _CELL.sub(lambda cell: _CODE.sub(_with_breaks, cell.group()), html)


def _with_breaks(code: re.Match[str]) -> str:
    return f"<code>{_BREAK.sub('<wbr>', code.group(1))}</code>"
