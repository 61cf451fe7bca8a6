"""Lists of resources: a JSON object for each item as it comes, or a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from polysession.cli.json_output import record_json, set_fields
from polysession.cli.printing import Output
from polysession.record import ReceivedRecord

T = TypeVar("T")
R = TypeVar("R", bound=ReceivedRecord)


def write_list(output: Output, name: str, items: Iterable[T], write: Callable[[T], None]) -> None:
    """Write each item as it comes, and show the count on stderr meanwhile."""
    with output.counting(name, prints=True) as counter:
        for item in counter.over(items):
            write(item)


def show_list(
    output: Output,
    name: str,
    items: Iterable[R],
    headings: Sequence[str],
    row: Callable[[R], Sequence[str]],
    *,
    raw: bool,
) -> None:
    """Show records.

    Args:
        output: Receives them.
        name: What they are, in the plural.
        items: The records.
        headings: Titles of the table's columns.
        row: Gives the cells of a record.
        raw: Add the backend's own object to the JSON.
    """
    if output.as_json:
        write_list(output, name, items, lambda item: output.json(record_json(item, raw=raw)))
        return
    with output.counting(name, prints=False) as counter:
        rows = [row(item) for item in counter.over(items)]
    output.table(headings, rows)


def show_record(output: Output, record: ReceivedRecord, *, raw: bool) -> None:
    """Show one record: JSON, or the fields that are set."""
    if output.as_json:
        output.json(record_json(record, raw=raw))
    else:
        output.fields(set_fields(record))
