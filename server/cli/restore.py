"""``collab restore``: a document goes back to what it was."""

from http import HTTPMethod

import anyio
import click

from collab.access import check_name
from collab.history.point import FORMS, Point, written
from collab.server.cli.options import store_option
from collab.server.cli.points import POINT
from collab.server.cli.through import RunningServer, document_path, reach
from collab.server.documents.restoring import restore_stored


@click.command("restore")
@click.argument("name")
@click.option(
    "--to", type=POINT, required=True, metavar="POINT", help=f"Where to go back to: {FORMS}."
)
@store_option
def restore_document(name: str, to: Point, address: str) -> None:
    """Take the document NAME back to what it was.

    That is one more change: the history stays, clients that have the document open see it at once,
    and restoring to the seq before it undoes it. Works beside a running server, through it.
    """
    if anyio.run(_restore, address, check_name(name), to):
        click.echo(f"restored {name!r} to {written(to)}")
    else:
        click.echo(f"{name!r} is as it was at {written(to)} already")


async def _restore(address: str, name: str, to: Point) -> bool:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            wanted = {"to": written(to)}
            path = document_path(name, "restore")
            answer = await place.request(HTTPMethod.POST, path, json=wanted)
            return bool(answer.json()["changed"])
        return await restore_stored(place, name, to)
