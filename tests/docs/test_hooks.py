"""Tests of the hooks that change tables when the site is built."""

from __future__ import annotations

import runpy
from pathlib import Path

HOOKS = runpy.run_path(str(Path(__file__).parents[2] / "docs/hooks.py"))
TABLE = (
    "<table><thead><tr><th></th><th>one <code>SDK</code></th></tr></thead>"
    "<tbody><tr><td>retries</td><td>no</td></tr><tr><td>errors</td><td>yes</td></tr></tbody></table>"
)


def test_the_cells_of_a_card_know_their_column_and_their_role() -> None:
    page = HOOKS["on_page_content"](f'<div class="cards">{TABLE}</div>')

    assert page.count('<td role="cell" data-label="one SDK">') == page.count('<td role="rowheader">') == 2
    assert '<table role="table"><thead role="rowgroup"><tr role="row"><th role="columnheader">' in page


def test_other_tables_stay_as_they_are() -> None:
    assert HOOKS["on_page_content"](TABLE) == TABLE


def test_support_is_a_word_with_a_sign() -> None:
    page = HOOKS["on_page_content"]("<td>emulated</td>")

    assert page == '<td class="support emulated"><span>emulated</span></td>'
