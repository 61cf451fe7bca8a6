"""Output to the terminal: a backend's text is escaped first, and styles are for terminals only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar

from rich.console import Console
from rich.style import Style
from rich.text import Text

from polysession._core.text import escaped
from polysession.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")

_UNBOUNDED: Final = 10_000
"""Columns of a file or a pipe, so that lines are not cut."""

_LEAST_WIDTH: Final = 10
"""Smallest width of the last column."""


def printable(text: str) -> str:
    """Escape control characters, except line breaks and tabs, so that text cannot move the cursor or set colours."""
    return escaped(text, keep="\n\t")


def one_line(text: str) -> str:
    """Escape control characters, line breaks and tabs too."""
    return escaped(text)


def write(console: Console, text: str, style: str = "") -> None:
    """Write text unchanged, with a style if the output is a terminal.

    `Console.print` keeps text in a buffer, and writes it again if Ctrl-C interrupts the write.
    """
    text = printable(text)
    styled = style and console.is_terminal and not console.no_color
    console.file.write(Style.parse(style).render(text) if styled else text)
    console.file.flush()


class QuietConsole(Console):
    """A console that lets the command handle a broken pipe."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise it."""
        raise BrokenPipeError


def stdout_console() -> Console:
    """Build a console for results. Without a terminal, and without `COLUMNS`, its lines are not cut."""
    console = QuietConsole(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBOUNDED
    return console


def stderr_console() -> Console:
    """Build a console for all output except results."""
    return QuietConsole(stderr=True, highlight=False, soft_wrap=True)


class Output:
    """Destination of a command's results: JSON, or tables for people.

    Args:
        as_json: Write JSON, in ASCII, so that it is safe on every terminal.
        fields: Names of the fields to write, with commas between them; None writes all.
    """

    def __init__(self, *, as_json: bool, fields: str | None = None) -> None:
        self.as_json = as_json
        self.console: Console = stdout_console()
        self.notes: Console = stderr_console()
        self._fields = None if fields is None else [name.strip() for name in fields.split(",")]

    def check_fields(self, keys: Callable[[], Sequence[str]]) -> None:
        """Check the selected fields before anything is sent.

        Args:
            keys: Returns the keys of the objects that the command writes.

        Raises:
            UsageError: A field begins with an unknown key.
        """
        known = keys() if self._fields else ()
        for name in self._fields or ():
            if name.partition(".")[0] not in known:
                raise UsageError(f"--fields: unknown field {name!r}; this command writes {', '.join(known)}")

    def json(self, value: Mapping[str, Any]) -> None:
        """Write one JSON object on one line, with the selected fields only."""
        if self._fields is not None:
            value = {name: _field(value, name) for name in self._fields}
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()

    def text(self, text: str, style: str = "") -> None:
        """Write a line for people."""
        self.console.print(Text(printable(text), style=style), soft_wrap=True)

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line that is not part of the results."""
        self.notes.print(Text(printable(text), style=style))

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[str | Text]], *, last_folds: bool = False, gap: int = 2
    ) -> None:
        """Write a table. Its last column gets the remaining width; longer text in it is cut or folded.

        Args:
            headings: Titles of the columns; if all are empty, no titles are shown.
            rows: The cells.
            last_folds: Whether to fold the last column instead of cutting it.
            gap: Spaces between columns.
        """
        cells = [[_cell(cell) for cell in row] for row in rows]
        widths = [
            max([len(heading), *(row[column].cell_len for row in cells)]) + gap
            for column, heading in enumerate(headings)
        ]
        left = max(self.console.width - sum(widths[:-1]), _LEAST_WIDTH)
        table = _plain_table(padding=(0, gap, 0, 0), header_style="bold", show_header=any(headings))
        for heading in headings[:-1]:
            table.add_column(heading, no_wrap=True)
        overflow: Literal["fold", "ellipsis"] = "fold" if last_folds else "ellipsis"
        table.add_column(headings[-1], no_wrap=not last_folds, overflow=overflow, max_width=left)
        for row in cells:
            table.add_row(*row)
        self._print(table, sum(widths[:-1]) + left + gap)

    def fields(self, fields: Mapping[str, str]) -> None:
        """Write names and values, one pair per line."""
        table = _plain_table(show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in fields.items():
            table.add_row(name, Text(one_line(value)))
        self._print(table, self.console.width)

    def _print(self, table: Table, width: int) -> None:
        """Print a table without trailing spaces. A terminal that is too narrow wraps it."""
        before = self.console.width
        self.console.width = max(before, width)
        with self.console.capture() as captured:
            self.console.print(table)
        self.console.width = before
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    @contextmanager
    def counting(self, what: str, *, prints: bool) -> Iterator[Counter]:
        """Show on stderr how many items have been read, if stderr is a terminal that shows no results.

        Args:
            what: Name of the items.
            prints: Whether results are written meanwhile.
        """
        if not self.notes.is_terminal or (prints and self.console.is_terminal):
            yield Counter()
            return
        from rich.live import Live  # noqa: PLC0415  (only terminals see it)
        from rich.spinner import Spinner  # noqa: PLC0415  (likewise)

        spinner = Spinner("dots", f"reading {what}")
        # rich would send stdout to its own console, which is stderr here.
        with Live(spinner, console=self.notes, transient=True, redirect_stdout=False, redirect_stderr=False):
            yield Counter(lambda count: spinner.update(text=f"reading {what}: {count} so far (Ctrl-C stops)"))


class Counter:
    """Counts items, and shows the count.

    Args:
        show: Called with each count; None shows nothing.
    """

    def __init__(self, show: Callable[[int], None] | None = None) -> None:
        self._show = show
        self._count = 0

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items and count them."""
        for item in items:
            self._count += 1
            if self._show is not None:
                self._show(self._count)
            yield item


def _field(value: Any, path: str) -> Any:
    """Return a field of a JSON value by its dotted path; for a list, the field of each item; None if it is missing."""
    if isinstance(value, list):
        return [_field(item, path) for item in value]
    name, dot, rest = path.partition(".")
    inner = value.get(name) if isinstance(value, Mapping) else None
    return _field(inner, rest) if dot and inner is not None else inner


def _plain_table(**options: Any) -> Table:
    from rich.table import Table  # noqa: PLC0415  (help needs none)

    return Table(**{"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)} | options)


def _cell(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(one_line(cell))
