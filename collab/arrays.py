"""Arrays: what the arrays of a Doc hold, at a cost that grows with it and not with its square.

The CRDT finds an element by walking there from the beginning of its array, over everything that was
inserted by itself. It shows a whole array at once only to who observes it while it is filled, and
then only the roots. So the document is written once more, with its long arrays as roots, and
applied to a Doc that observes them.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from itertools import count
from typing import Any

import pycrdt

from collab.lib0 import read_var_uint, write_var_string
from collab.roots import RootKind
from collab.structs import Id, Kind, SharedType, read_structs

MAX_LOOKED_UP = 200
"""Elements of an array that are looked up one by one: so few cost less than the other way."""

Elements = Callable[["pycrdt.Array[Any]"], Iterable[Any]]
"""Tells what an array holds, in order; ``list`` where arrays are short."""


class Arrays:
    """The arrays of one Doc, to be read while it does not change.

    Args:
        doc: the Doc.
        kinds: what its roots are.
        max_looked_up: elements of an array that are looked up one by one.
    """

    def __init__(
        self,
        doc: "pycrdt.Doc[Any]",
        kinds: Mapping[str, RootKind],
        max_looked_up: int = MAX_LOOKED_UP,
    ) -> None:
        self._doc = doc
        self._roots = {name for name, kind in kinds.items() if kind is RootKind.ARRAY}
        self._max_looked_up = max_looked_up
        self._filled: _Filled | None = None

    def elements(self, array: "pycrdt.Array[Any]") -> list[Any]:
        """What an array holds, in order.

        Types among it are read as those of the Doc are, their arrays by this method, too; they may
        be of another Doc that is the same, so they are not to be changed.

        Args:
            array: of the Doc, or of what this method gave.
        """
        if self._filled is None or array.doc is self._doc:
            if len(array) <= self._max_looked_up:
                return list(array)
            if self._filled is None:
                update = self._doc.get_update()
                self._filled = _Filled(update, self._roots, self._max_looked_up)
        elif len(array):
            return list(array)  # It was short, and stayed where it was.
        return self._filled.elements.get(_place(array), [])


class _Filled:
    """A document whose long arrays were observed as they were filled.

    Nested ones are empty where they were: what they hold is in roots of their own.

    Attributes:
        elements: of the long arrays, by what the CRDT knows them by.
    """

    def __init__(self, update: bytes, roots: Set[str], max_looked_up: int) -> None:
        parts = _Parts(update, roots)
        trial = _new_doc()
        trial.apply_update(parts.with_roots(parts.names))
        names = {
            array: name
            for array, name in parts.names.items()
            if len(trial.get(name, type=pycrdt.Array)) > max_looked_up
        }
        self.elements: dict[str | Id, list[Any]] = {}
        self._doc = _new_doc()
        places: dict[str | Id, str] = {name: name for name in roots} | names
        observed = []
        for place, name in places.items():
            array = self._doc.get(name, type=pycrdt.Array)
            observed.append((array, array.observe(partial(self._take, place))))
        self._doc.apply_update(parts.with_roots(names))
        for array, subscription in observed:
            array.unobserve(subscription)

    def _take(self, place: str | Id, event: pycrdt.ArrayEvent) -> None:
        # It was empty, so there are insertions alone; none where all of it was deleted.
        delta: list[dict[str, list[Any]]] = event.delta  # type: ignore[attr-defined]  # a slot
        self.elements[place] = [each for change in delta for each in change["insert"]]


class _Parts:
    """Where an update tells what lies in what.

    Attributes:
        names: for each nested array, a name that no root has.
    """

    def __init__(self, update: bytes, roots: Set[str]) -> None:
        self._update = update
        self._parents: list[tuple[int, Id]] = []
        arrays: list[Id] = []
        taken = set(roots)
        for struct in read_structs(update):
            if isinstance(struct.parent, str):
                taken.add(struct.parent)
            elif struct.parent is not None:
                self._parents.append((struct.start, struct.parent))
            if struct.kind is Kind.TYPE:
                shared, _ = read_var_uint(update, struct.content)
                if shared == SharedType.ARRAY:
                    arrays.append(Id(struct.client, struct.clock))
        begun = {name.partition(" ")[0] for name in taken}
        unused = next(word for word in map(str, count()) if word not in begun)
        self.names = {array: f"{unused} {array.client} {array.clock}" for array in arrays}

    def with_roots(self, names: Mapping[Id, str]) -> bytes:
        """The update with what some types hold in roots of these names instead.

        A struct names what it is in only where nothing was beside it; all others follow.
        """
        written = bytearray()
        copied = 0
        for start, parent in self._parents:
            name = names.get(parent)
            if name is not None:
                mark = start + 1  # after what kind of struct it is
                written += self._update[copied:mark] + b"\x01" + write_var_string(name)
                _, copied = read_var_uint(self._update, mark + 1)
                _, copied = read_var_uint(self._update, copied)
        return bytes(written + self._update[copied:])


def _place(array: "pycrdt.Array[Any]") -> str | Id:
    """What the CRDT knows an array by: the name of a root, else the id of what made it."""
    place = array.sticky_index(0, pycrdt.Assoc.BEFORE).to_json()
    if "tname" in place:
        return str(place["tname"])
    return Id(place["type"]["client"], place["type"]["clock"])


def _new_doc() -> "pycrdt.Doc[Any]":
    # Made in a worker thread; it may be another one's that collects it.
    return pycrdt.Doc(allow_multithreading=True)
