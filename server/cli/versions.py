"""``collab versions``: the named points of a document."""

import json
from collections.abc import Sequence
from http import HTTPMethod
from urllib.parse import quote

import anyio
import click

from collab.access import check_name
from collab.history.point import FORMS, Point, written
from collab.history.records import version_record
from collab.server.cli.options import store_option
from collab.server.cli.plain import plain
from collab.server.cli.points import POINT, moment
from collab.server.cli.through import RunningServer, document_path, reach
from collab.server.documents.admitting import admit_anyone
from collab.server.documents.naming import name_version
from collab.storage.address import open_store
from collab.versions import Version, check_version_name

_HEADINGS = ("SEQ", "NAMED (UTC)", "BY", "NAME")


@click.command("versions")
@click.argument("name")
@click.option("--add", metavar="VERSION", help="Name a point; by default the newest entry.")
@click.option("--at", type=POINT, metavar="POINT", help=f"The point that --add names: {FORMS}.")
@click.option("--remove", metavar="VERSION", help="Forget a version; the history stays.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON as REST does, not a table.")
@store_option
def show_versions(
    name: str, add: str | None, at: Point | None, remove: str | None, as_json: bool, address: str
) -> None:
    """Show the versions of the document NAME, or name one, or forget one.

    Works beside a running server, and changes versions through it.
    """
    check_name(name)
    if add is not None and remove is not None:
        raise click.UsageError("expected --add or --remove, got both")
    if at is not None and add is None:
        raise click.UsageError("expected --at together with --add, got --at alone")
    if add is not None:
        anyio.run(_add, address, name, check_version_name(add), at)
    elif remove is not None:
        anyio.run(_remove, address, name, remove)
    else:
        _show(anyio.run(_versions, address, name), as_json)


def _show(versions: Sequence[Version], as_json: bool) -> None:
    if as_json:
        records = [version_record(version) for version in versions]
        click.echo(json.dumps({"versions": records}, ensure_ascii=False, indent=2))
        return
    rows = [_HEADINGS, *map(_row, versions)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for seq, named, author, name in rows:
        click.echo(f"{seq:>{widths[0]}}  {named:<{widths[1]}}  {author:<{widths[2]}}  {name}")


def _row(version: Version) -> tuple[str, str, str, str]:
    # The name comes last: it may be wider on the screen than it has characters.
    author = "-" if version.author is None else plain(version.author)
    return str(version.seq), moment(version.created_ms), author, version.name


async def _versions(address: str, name: str) -> Sequence[Version]:
    async with open_store(address, create=False) as store:
        return await store.versions(name)


async def _add(address: str, name: str, version: str, at: Point | None) -> None:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            wanted = {"name": version} if at is None else {"name": version, "at": written(at)}
            await place.request(HTTPMethod.POST, document_path(name, "versions"), json=wanted)
        else:
            await name_version(place, name, version, None, admit_anyone, at)


async def _remove(address: str, name: str, version: str) -> None:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            path = document_path(name, "versions", quote(version, safe=""))
            await place.request(HTTPMethod.DELETE, path)
        else:
            await place.remove_version(name, version)
