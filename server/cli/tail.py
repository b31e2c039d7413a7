"""``collab tail``: what happens in a document on a server, as it happens."""

import json
import sys
import time
from collections.abc import Mapping

import anyio
import click

from collab.client.feed import Feed, Follower
from collab.client.server_address import read_document_address
from collab.render.values import Json
from collab.server.cli.list import human_size
from collab.server.cli.plain import plain
from collab.server.cli.points import moment

_SHOWN_CHARACTERS = 100
"""What is shown of a presence state or of what an application said."""
_INTERRUPTED = 130
"""What shells say of a command that Ctrl-C has ended."""


@click.command("tail")
@click.argument("address", metavar="URL/DOCUMENT")
@click.option(
    "--token",
    envvar="COLLAB_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="What to show the server.",
)
@click.option(
    "--mount",
    default="",
    metavar="PATH",
    help="Where on its host the server is mounted, where that is not at the root.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, as REST does.")
def tail(address: str, token: str | None, mount: str, as_json: bool) -> None:
    """Show what happens in a document on a server: who changes what, who comes and goes.

    It begins with who is here, and goes on until Ctrl-C ends it with 130, or the server refuses.
    Times are UTC. Where the connection is lost it comes back, and no change is left out.
    """
    server, document = read_document_address(address, mount)
    follower = _Screen(as_json=as_json)
    try:
        anyio.run(Feed(server, document, token or "").follow, follower)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


class _Screen(Follower):
    """Writes what happens to standard output, and how the connection is to standard error.

    Args:
        as_json: whether that is as JSON; otherwise it is lines for people.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._present: dict[object, object] = {}

    def hear(self, happened: Mapping[str, Json], *, begins: bool) -> None:
        if self._as_json:
            click.echo(json.dumps(happened, ensure_ascii=False))
        else:
            self._tell(happened, begins=begins)

    def lost(self, reason: str) -> None:
        click.echo(f"collab: the connection is lost: {reason}; trying again", err=True)

    def back(self) -> None:
        click.echo("collab: the connection is back", err=True)

    def _tell(self, happened: Mapping[str, Json], *, begins: bool) -> None:
        kind, payload = happened["type"], happened["payload"]
        # What a newer server tells besides is not for this command.
        if not isinstance(payload, dict):
            return
        if kind == "change":
            self._tell_change(payload)
        elif kind == "presence":
            self._tell_presence(payload, everyone=begins)
        elif kind == "version":
            said = f"named {_shown(payload['name'])}: the document after change {payload['seq']}"
            _tell(payload.get("author"), said, payload.get("created_ms"))
        elif kind == "message":
            said = f"said {_shown(payload['type'])}: {_shown(payload['payload'])}"
            _tell(payload.get("from"), said)

    def _tell_change(self, change: Mapping[str, Json]) -> None:
        size = change["bytes"]
        extent = f"{change['inserted']} inserted, {change['deleted']} deleted"
        measured = human_size(size) if isinstance(size, int) else "? B"
        said = f"change {change['seq']}: {extent} ({measured})"
        _tell(change.get("author"), said, change.get("time_ms"))

    def _tell_presence(self, presence: Mapping[str, Json], *, everyone: bool) -> None:
        present, gone = presence.get("present"), presence.get("gone")
        states = {
            each["client"]: each["state"]
            for each in (present if isinstance(present, list) else [])
            if isinstance(each, dict)
        }
        left: set[object] = set(gone) if isinstance(gone, list) else set()
        if everyone:
            left |= self._present.keys() - states.keys()
        for client, state in states.items():
            if client not in self._present:
                _tell(_name(client, state), f"is here: {_shown(state)}")
            elif self._present[client] != state:
                _tell(_name(client, state), f"shows {_shown(state)}")
            self._present[client] = state
        for missing in [each for each in self._present if each in left]:
            _tell(_name(missing, self._present.pop(missing)), "left")


def _tell(who: object, said: str, at_ms: object = None) -> None:
    """Writes a line: when, who, what; without a time it is now."""
    when = at_ms if isinstance(at_ms, int) else time.time_ns() // 1_000_000
    click.echo(f"{moment(when)}  {'-' if who is None else plain(str(who))}  {said}")


def _name(client: object, state: object) -> str:
    """Who somebody is, by what they show: editors publish ``user.name``."""
    user = state.get("user") if isinstance(state, dict) else None
    name = user.get("name") if isinstance(user, dict) else None
    return name if isinstance(name, str) and name else f"client {client}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}..."
    return plain(text)
