"""The roots of a document: what each one is, told from updates.

Nothing in an update names a root's type, so it follows from what the root holds.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from enum import StrEnum

from collab.lib0 import read_var_uint
from collab.structs import Id, Kind, SharedType, Struct, read_structs


class RootKind(StrEnum):
    """What a root of a document is; EMPTY where nothing is left that would tell."""

    TEXT = "text"
    MAP = "map"
    ARRAY = "array"
    XML = "xml"
    XML_TEXT = "xmltext"
    EMPTY = "empty"


def root_kinds(updates: Iterable[bytes]) -> dict[str, RootKind]:
    """Tells what each root of a document is, by what its structs hold.

    Nothing in an update names a root's type, so it follows from the contents: text runs, formats
    and embeds make a text; elements make an XML fragment; values make an array; keys make a map. A
    root with keys and a sequence is the sequence's kind (texts and XML types have attributes). Text
    beside nested types, or XML texts alone at the top, make an XML text (Slate, Lexical). Deleted
    sequences tell nothing, deleted keys still make a map.

    Args:
        updates: all of the document's updates, in any order.

    Returns:
        Kinds by root name, in order of name.

    Raises:
        ProtocolError: one of them is no update.
    """
    stored = tuple(updates)
    clues: dict[str, set[str]] = {}
    for update in stored:
        for struct in read_structs(update):
            if isinstance(struct.parent, str):
                clues.setdefault(struct.parent, set()).add(_clue(update, struct))
    if any(not _is_settled(seen) for seen in clues.values()):
        for name, clue in _inherited_clues(stored):
            clues[name].add(clue)
    return {name: _root_kind(clues[name]) for name in sorted(clues)}


def _clue(update: bytes, struct: Struct) -> str:
    if struct.parent_sub is not None:
        return "key"
    if struct.kind in (Kind.STRING, Kind.FORMAT, Kind.EMBED):
        return "text"
    if struct.kind in (Kind.DELETED, Kind.GC):
        return "deleted"
    if struct.kind is not Kind.TYPE:
        return "value"
    shared, _ = read_var_uint(update, struct.content)
    if shared == SharedType.XML_TEXT:
        return "xmltext"
    if shared in (SharedType.XML_ELEMENT, SharedType.XML_HOOK, SharedType.XML_FRAGMENT):
        return "element"
    return "type"


def _is_settled(seen: set[str]) -> bool:
    """Whether what hangs on origins cannot change the kind; only a sequence has such structs."""
    return seen == {"key"} or seen - {"key", "deleted"} in ({"text"}, {"value"})


def _root_kind(seen: set[str]) -> RootKind:
    sequence = seen - {"key", "deleted"}
    if not sequence:
        return RootKind.MAP if "key" in seen else RootKind.EMPTY
    if "text" in sequence:
        return RootKind.TEXT if sequence == {"text"} else RootKind.XML_TEXT
    if sequence == {"xmltext"}:
        return RootKind.XML_TEXT
    return RootKind.ARRAY if sequence & {"value", "type"} else RootKind.XML


def _inherited_clues(updates: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
    """Finds the roots of structs that name an origin instead: (root, clue) pairs."""
    links: dict[int, list[tuple[int, str | Id | None]]] = {}
    for update in updates:
        for struct in read_structs(update):
            in_sequence = struct.parent_sub is None and isinstance(struct.parent, str)
            link = struct.origin or struct.right_origin or (struct.parent if in_sequence else None)
            links.setdefault(struct.client, []).append((struct.clock, link))
    clocks: dict[int, list[int]] = {}
    for client, linked in links.items():
        linked.sort(key=lambda pair: pair[0])
        clocks[client] = [clock for clock, _ in linked]

    def root_of(place: Id) -> str | None:
        link: str | Id | None = place
        passed: list[tuple[int, int]] = []
        while isinstance(link, Id):
            index = bisect_right(clocks.get(link.client, []), link.clock) - 1
            if index < 0:
                link = None
                break
            client = link.client
            clock, link = links[client][index]
            links[client][index] = (clock, None)  # ends the walk if the origins run in a circle
            passed.append((client, index))
        for client, index in passed:
            links[client][index] = (links[client][index][0], link)
        return link

    for update in updates:
        for struct in read_structs(update):
            clue = _clue(update, struct)
            if struct.parent is None and clue != "deleted" and struct.kind is not Kind.SKIP:
                name = root_of(Id(struct.client, struct.clock))
                if name is not None:
                    yield name, clue
