"""Lists of resources: a JSON object for each item as it comes, or a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from polysession import Agent, Environment, Model, Session
from polysession._core.paging import Item
from polysession.cli.json_output import record_json, set_fields
from polysession.cli.printing import Output
from polysession.errors import MalformedResponse
from polysession.record import ReceivedRecord

if TYPE_CHECKING:
    from polysession import Client, Paginator

R = TypeVar("R", Agent, Environment, Model, Session)

_MOST_PROBLEMS: Final = 5


def write_list(
    output: Output, client: Client, what: str, found: Paginator[Item], write: Callable[[Item], None]
) -> None:
    """Write each item as soon as it is read, and show the count on stderr meanwhile.

    Args:
        output: Receives them.
        client: Reads them.
        what: Name of the records, in the plural.
        found: The list.
        write: Writes one item.

    Raises:
        MalformedResponse: Some items could not be read. The others are written.
    """
    _check_all_read(client, what, _read(output, what, found, write, prints=True))


def show_list(
    output: Output,
    client: Client,
    what: str,
    found: Paginator[R],
    headings: Sequence[str],
    row: Callable[[R], Sequence[str]],
    *,
    raw: bool,
) -> None:
    """Show records.

    Args:
        output: Receives them.
        client: Reads them.
        what: Name of the records, in the plural.
        found: The list.
        headings: Titles of the table's columns.
        row: Gives the cells of a record.
        raw: Add the backend's own object to the JSON.

    Raises:
        MalformedResponse: Some items could not be read. The others are shown.
    """
    if output.as_json:
        write_list(output, client, what, found, lambda item: output.json(record_json(item, raw=raw)))
        return
    rows: list[Sequence[str]] = []
    problems = _read(output, what, found, lambda item: rows.append(row(item)), prints=False)
    output.table(headings, rows)
    _check_all_read(client, what, problems)


def _read(
    output: Output, what: str, found: Paginator[Item], take: Callable[[Item], None], *, prints: bool
) -> list[str]:
    """Read a list; return the problems of its pages: the items that could not be read."""
    problems: list[str] = []
    with output.counting(what, prints=prints) as counter:
        for page in found.pages():
            for item in counter.over(page.items):
                take(item)
            problems += page.problems
    return problems


def _check_all_read(client: Client, what: str, problems: Sequence[str]) -> None:
    if problems:
        shown = "; ".join(problems[:_MOST_PROBLEMS]) + ("; ..." if len(problems) > _MOST_PROBLEMS else "")
        raise MalformedResponse(f"{len(problems)} of the {what} could not be read: {shown}", provider=client.provider)


def show_deleted(output: Output, client: Client, key: str, deleted_id: str) -> None:
    """Show that a resource was deleted.

    Args:
        output: Receives it.
        client: Has deleted the resource.
        key: Key of its id in the JSON.
        deleted_id: Its id.
    """
    if output.as_json:
        output.json({"provider": client.provider, key: deleted_id, "deleted": True})
    else:
        output.text(f"deleted {deleted_id}")


def show_record(output: Output, record: ReceivedRecord, *, raw: bool) -> None:
    """Show one record, as JSON or as the list of fields that are set."""
    if output.as_json:
        output.json(record_json(record, raw=raw))
    else:
        output.fields(set_fields(record))
