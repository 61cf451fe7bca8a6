"""Tables of what providers support, for any number of providers."""

from __future__ import annotations

from polysession import Support
from polysession.cli.support_marks import support_lines

NAMES = ["adk", "everruns", "qoder"]
ROWS = [
    (["create", "idle"], [Support.NATIVE, Support.EMULATED, Support.NATIVE]),
    (["read again", ""], [Support.UNSUPPORTED, Support.NATIVE, Support.EMULATED]),
]


def shown(width: int, names: list[str] = NAMES, times: int = 1) -> list[str]:
    rows = [(labels, supports * times) for labels, supports in ROWS]
    return [line.plain for line in support_lines("step", names, rows, width=width)]


def test_names_stand_side_by_side_where_they_fit() -> None:
    table = [
        "step            adk everruns qoder",
        "create     idle N   E        N",
        "read again      -   N        E",
    ]
    assert shown(len(table[0])) == table


def test_names_have_a_line_each_where_they_do_not() -> None:
    assert shown(33) == [
        "step            adk",
        "                |  everruns",
        "                |  |  qoder",
        "create     idle N  E  N",
        "read again      -  N  E",
    ]
    assert max(map(len, shown(80, [f"backend-{number}" for number in range(15)], times=5))) <= 80
