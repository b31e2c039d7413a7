"""``collab duplicate``: a document's content under another name."""

from http import HTTPMethod

import anyio
import click

from collab.access import check_name
from collab.server.cli.options import store_option
from collab.server.cli.through import RunningServer, document_path, reach
from collab.server.documents.copying import copy_document


@click.command("duplicate")
@click.argument("name")
@click.argument("copy")
@click.option(
    "--history", is_flag=True, help="Copy all changes and versions, not the content alone."
)
@store_option
def duplicate_document(name: str, copy: str, history: bool, address: str) -> None:
    """Copy the document NAME to the new name COPY.

    Works beside a running server, through it.
    """
    anyio.run(_duplicate, address, check_name(name), check_name(copy), history)


async def _duplicate(address: str, name: str, copy: str, history: bool) -> None:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            wanted = {"name": copy, "history": history}
            await place.request(HTTPMethod.POST, document_path(name, "duplicate"), json=wanted)
        else:
            await copy_document(place, name, copy, history=history, author=None)
