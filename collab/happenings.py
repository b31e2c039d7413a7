"""Happenings: what goes on in a document, as programs that follow it hear it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collab.app_messages import AppMessage
from collab.errors import ProtocolError
from collab.history.records import version_record
from collab.render.values import Json
from collab.store import Entry
from collab.structs import Kind, read_deletions, read_structs
from collab.versions import Version


@dataclass(frozen=True, slots=True)
class Changed:
    """A change is durable.

    Attributes:
        entry: the change, as the log has it.
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody came, moved or left.

    Attributes:
        present: awareness client id to the state it published.
        gone: awareness client ids that left.
    """

    present: Mapping[int, Json]
    gone: Iterable[int] = field(default=())


@dataclass(frozen=True, slots=True)
class VersionNamed:
    """A point of the document got a name.

    Attributes:
        version: the version.
    """

    version: Version


@dataclass(frozen=True, slots=True)
class Said:
    """An application message was sent.

    Attributes:
        message: the message, with its sender.
        source: the member it came from; None where that is none.
    """

    message: AppMessage
    source: object = None


Happening = Changed | PresenceChanged | VersionNamed | Said


def happening_record(happening: Happening) -> dict[str, Json]:
    """What happened, as ``{"type": ..., "payload": ...}``."""
    if isinstance(happening, Changed):
        return {"type": "change", "payload": _change_record(happening.entry)}
    if isinstance(happening, PresenceChanged):
        present = presence_records(happening.present)
        return {"type": "presence", "payload": {"present": present, "gone": [*happening.gone]}}
    if isinstance(happening, VersionNamed):
        return {"type": "version", "payload": version_record(happening.version)}
    message = happening.message
    said: dict[str, Json] = {"type": message.type, "payload": message.payload}
    return {"type": "message", "payload": {**said, "from": message.sender}}


def presence_records(states: Mapping[int, Json]) -> list[Json]:
    """Who is here: each awareness client and what it published."""
    return [{"client": client, "state": state} for client, state in states.items()]


def _change_record(entry: Entry) -> dict[str, Json]:
    inserted, deleted = _extent(entry.update)
    return {
        "seq": entry.seq,
        "time_ms": entry.time_ms,
        "author": entry.author,
        "bytes": len(entry.update),
        "inserted": inserted,
        "deleted": deleted,
    }


def _extent(update: bytes) -> tuple[int, int]:
    """How much an update inserts and deletes: characters (UTF-16), and one for everything else."""
    inserted = 0
    structs = read_structs(update)
    try:
        while True:
            try:
                struct = next(structs)
            except StopIteration as end:
                deleted = sum(deletion.length for deletion in read_deletions(update, end.value))
                return inserted, deleted
            if struct.kind not in (Kind.GC, Kind.DELETED, Kind.SKIP):
                inserted += struct.length
    except ProtocolError:  # An entry of the log that cannot be read is reported elsewhere.
        return inserted, 0
