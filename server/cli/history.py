"""``collab history`` and ``collab diff``: what happened to a document, and what that changed."""

import json
from collections.abc import Iterator, Sequence

import anyio
import click

from collab.access import check_name
from collab.history.changes import PAUSE_SECONDS, Change
from collab.history.difference import Difference
from collab.history.point import Point
from collab.history.records import change_record, difference_record
from collab.render.values import Json
from collab.server.cli.duration import Seconds
from collab.server.cli.options import store_option
from collab.server.cli.plain import plain, plain_lines
from collab.server.cli.points import POINT, moment
from collab.server.documents.history import History, Page
from collab.storage.address import open_store

_HEADINGS = ("SEQ", "FROM (UTC)", "TO", "ENTRIES", "AUTHOR")


@click.command("history")
@click.argument("name")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="Changes at most.",
)
@click.option(
    "--before", type=click.IntRange(min=1), metavar="SEQ", help="Only entries of a smaller seq."
)
@click.option(
    "--pause",
    type=Seconds(min=0, min_open=True),
    default=PAUSE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long an author must rest before what follows is another change.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON as REST does, not a table.")
@store_option
def show_history(
    name: str, limit: int, before: int | None, pause: float, as_json: bool, address: str
) -> None:
    """Show who changed the document NAME when, the newest change first.

    A change is what one author did without a pause. Works beside a running server on the same
    store.
    """
    page = anyio.run(_changes, address, check_name(name), before, limit, pause)
    if as_json:
        changes = [change_record(change) for change in page.changes]
        _echo_json({"changes": [*changes], "next": page.next})
        return
    rows = [_HEADINGS, *map(_row, page.changes)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for seq, first, last, entries, author in rows:
        line = f"{seq:>{widths[0]}}  {first:<{widths[1]}}  {last:<{widths[2]}}"
        click.echo(f"{line}  {entries:>{widths[3]}}  {author}")
    if page.next is not None:
        click.echo(f"collab: older changes with --before {page.next}", err=True)


@click.command("diff")
@click.argument("name")
@click.argument("before", metavar="FROM", type=POINT)
@click.argument("after", metavar="[TO]", type=POINT, required=False)
@click.option("--root", metavar="KEY", help="Only this root of the document.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON as REST does.")
@store_option
def show_difference(
    name: str, before: Point, after: Point | None, root: str | None, as_json: bool, address: str
) -> None:
    """Show what distinguishes the document NAME at FROM from the same at TO.

    FROM and TO are each a seq, a date or time in ISO 8601, or the name of a version; without TO it
    is the newest entry. In a text, what is removed stands in [-...-] and what is inserted in
    {+...+}, with some of what stays around it. Works beside a running server on the same store.
    """
    first, last, found = anyio.run(_compare, address, check_name(name), before, after, root)
    if as_json:
        records: list[Json] = [difference_record(difference) for difference in found]
        _echo_json({"from": first, "to": last, "differences": records})
        return
    for difference in found:
        for line in _lines(difference):
            click.echo(plain_lines(line))


async def _changes(address: str, name: str, before: int | None, limit: int, pause: float) -> Page:
    async with open_store(address, create=False) as store:
        return await History(store).changes(name, before, limit, pause)


async def _compare(
    address: str, name: str, before: Point, after: Point | None, root: str | None
) -> tuple[int, int, Sequence[Difference]]:
    async with open_store(address, create=False) as store:
        history = History(store)
        first = await history.find(name, before)
        last = await history.newest(name) if after is None else await history.find(name, after)
        return first, last, await history.compare(name, first, last, root)


def _row(change: Change) -> tuple[str, str, str, str, str]:
    # The author comes last: it may be long, and wider on the screen than it has characters.
    seq = f"{change.first_seq}-{change.last_seq}" if change.entries > 1 else str(change.last_seq)
    author = "-" if change.author is None else plain(change.author)
    return seq, moment(change.first_ms), moment(change.last_ms), str(change.entries), author


def _lines(difference: Difference) -> Iterator[str]:
    for hunk in difference.hunks:
        yield f"@@ {difference.root} {hunk.start_before} -> {hunk.start_after} @@"
        removed = f"[-{hunk.removed}-]" if hunk.removed else ""
        inserted = f"{{+{hunk.inserted}+}}" if hunk.inserted else ""
        yield f"{hunk.prefix}{removed}{inserted}{hunk.suffix}"
    for each in difference.formats:
        yield f"@@ {difference.root} {each.start_before} -> {each.start_after} @@"
        formats = [json.dumps(formats, ensure_ascii=False) for formats in (each.before, each.after)]
        yield f"{each.length} characters: {' -> '.join(formats)}"
    for edit in difference.edits:
        path = "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in edit.path)
        before = "".join(json.dumps(value, ensure_ascii=False) for value in edit.before)
        after = "".join(json.dumps(value, ensure_ascii=False) for value in edit.after)
        yield f"@@ {difference.root}{path} @@"
        yield " ".join(filter(None, (before and f"[-{before}-]", after and f"{{+{after}+}}")))


def _echo_json(value: Json) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
