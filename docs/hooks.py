"""Hooks of the site's build: tables get what a narrow screen needs.

Long names get places where they may break, cells that state the support of a feature are marked, and the cells of a
table in `<div class="cards">` know the heads of their columns.
"""

from __future__ import annotations

import re
from typing import Any

_CELL = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
_LONG_NAME = re.compile(r"(?<=>)[^<>]+(?=<)")
_BREAK = re.compile(r"(?<=[\w\]}][./_=(,])(?=[^\s./_=(,<)])")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FITS = 8
"""Characters of a name that every column has room for."""
_LONG = 12
"""Characters of a name that most columns have room for: a longer one may also break before a capital."""
_SUPPORT = re.compile(r"<td>(native|emulated|unsupported)</td>")
_CARDS = re.compile(r'(?<=<div class="cards">).*?(?=</div>)', re.DOTALL)
_ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader"}
"""Roles of a table's elements, which CSS takes away when it shows a row as a card."""


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with tables for a narrow screen."""
    html = _SUPPORT.sub(r'<td class="support \1"><span>\1</span></td>', html)
    html = _CARDS.sub(lambda cards: _labelled(cards.group()), html)
    return _CELL.sub(lambda cell: _LONG_NAME.sub(_with_breaks, cell.group()), html)


def _with_breaks(text: re.Match[str]) -> str:
    return "".join(map(_broken, re.split(r"(\s+)", text.group())))


def _broken(word: str) -> str:
    word = _CAPITAL.sub("<wbr>", word) if len(word) > _LONG else word
    return _BREAK.sub("<wbr>", word) if len(word) > _FITS else word


def _labelled(table: str) -> str:
    """A table whose cells carry the head of their column, and whose elements carry their roles."""
    _, *heads = (re.sub("<.*?>", "", head) for head in re.findall(r"<th>(.*?)</th>", table))
    for tag, role in _ROLES.items():
        table = table.replace(f"<{tag}>", f'<{tag} role="{role}">')
    cells = ['<td role="rowheader">', *(f'<td role="cell" data-label="{head}">' for head in heads)]
    return "</tr>".join(_opened(row, cells) for row in table.split("</tr>"))


def _opened(row: str, cells: list[str]) -> str:
    """A row whose cells begin with these tags."""
    for cell in cells:
        row = row.replace("<td>", cell, 1)
    return row
