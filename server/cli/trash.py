"""``collab delete`` and ``collab undelete``: documents go to the trash, and come back from it."""

import time
from http import HTTPMethod

import anyio
import click

from collab.access import check_name
from collab.server.cli.options import store_option
from collab.server.cli.through import RunningServer, document_path, reach


@click.command("delete")
@click.argument("name")
@click.option("--now", is_flag=True, help="Erase it at once and for good, one in the trash too.")
@store_option
def delete_document(name: str, now: bool, address: str) -> None:
    """Delete the document NAME.

    It goes to the trash, until `collab serve` erases it (--trash). Those who have it open are
    disconnected, and cannot bring it back. Works beside a running server, through it.
    """
    anyio.run(_delete, address, check_name(name), now)


@click.command("undelete")
@click.argument("name")
@store_option
def undelete_document(name: str, address: str) -> None:
    """Bring the document NAME back from the trash, as it was.

    Works beside a running server, through it.
    """
    anyio.run(_undelete, address, check_name(name))


async def _delete(address: str, name: str, now: bool) -> None:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            query = {"now": "true"} if now else None
            await place.request(HTTPMethod.DELETE, document_path(name), query=query)
            return
        await place.delete(name, time_ms=time.time_ns() // 1_000_000)
        if now:
            await place.erase(name)


async def _undelete(address: str, name: str) -> None:
    async with reach(address) as place:
        if isinstance(place, RunningServer):
            await place.request(HTTPMethod.POST, document_path(name, "undelete"))
        else:
            await place.undelete(name)
