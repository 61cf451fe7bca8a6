"""The support of providers in tables for people: a column of marks for each provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from polysession import Support

SUPPORT_STYLES: Final[Mapping[Support, str]] = {
    Support.NATIVE: "green",
    Support.EMULATED: "yellow",
    Support.UNSUPPORTED: "red",
}
SUPPORT_LEGEND: Final = "N native, E emulated, - unsupported"
_MARKS: Final[Mapping[Support, str]] = {Support.NATIVE: "N", Support.EMULATED: "E", Support.UNSUPPORTED: "-"}


def support_mark(support: Support) -> Text:
    """Return the mark of a kind of support; `SUPPORT_LEGEND` explains it."""
    return Text(_MARKS[support], SUPPORT_STYLES[support])


def support_lines(
    heading: str, names: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[Support]]], *, width: int
) -> Iterator[Text]:
    """Return the lines of a table: labels, and a mark for each provider.

    The names of the providers are side by side above their columns. If that is too wide, each name has a separate line,
    so that any number of providers fits.

    Args:
        heading: Heading of the first label.
        names: The providers.
        rows: Labels and support of each row; all rows have the same number of labels.
        width: Columns of the terminal.
    """
    sizes = [
        max(cell_len(label) for label in labels) + 1 for labels in zip(*(labels for labels, _ in rows), strict=True)
    ]
    head = set_cell_size(heading, sum(sizes))
    gaps = [cell_len(name) + 1 for name in names]
    if len(head) + sum(gaps) <= width + 1:
        yield Text.assemble((head + " ".join(names), "bold"))
    else:
        gaps = [3] * len(names)
        for number, name in enumerate(names):
            yield Text.assemble(
                (set_cell_size(head if number == 0 else "", len(head)), "bold"), ("|  " * number, "dim"), (name, "bold")
            )
    for labels, supports in rows:
        line = Text()
        for number, (label, size) in enumerate(zip(labels, sizes, strict=True)):
            line.append(set_cell_size(label, size), "dim" if number else "")
        for support, gap in zip(supports, gaps, strict=True):
            line.append_text(support_mark(support)).append(" " * (gap - 1))
        line.rstrip()
        yield line
