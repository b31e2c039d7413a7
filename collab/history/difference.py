"""Differences: what distinguishes a document at one point from the same at another."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collab.document import Document
from collab.errors import UnknownRoot
from collab.history.content import root_of
from collab.history.matching import differences
from collab.history.text_diff import Hunk, Reformat, diff_chunks
from collab.render.export import root_values
from collab.render.values import Json
from collab.roots import RootKind, root_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One place in a structure that differs.

    Attributes:
        path: keys and indices from the root on; an index counts in ``after``, or in ``before``
            where something is removed.
        before: what was there; nothing for what was added.
        after: what is there; nothing for what was removed.
    """

    path: Sequence[str | int]
    before: Sequence[Json]
    after: Sequence[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs in one root.

    Attributes:
        root: its name.
        kind: what it is.
        hunks: of a text, what its characters differ in; an embed is U+FFFC.
        formats: of a text, where formats of the same characters differ.
        edits: of any other kind, the places that differ, in order.
    """

    root: str
    kind: RootKind
    hunks: Sequence[Hunk] = ()
    formats: Sequence[Reformat] = ()
    edits: Sequence[Edit] = ()


def compare(before: Document, after: Document, root: str | None = None) -> list[Difference]:
    """Compares a document with what it was, or will be.

    Args:
        before: the one.
        after: the other.
        root: name of a root, None for all.

    Returns:
        The roots that differ, in order of name. Text roots as hunks; maps, arrays and XML as
        places in their JSON values.

    Raises:
        UnknownRoot: neither has such a root.
        RenderError: one is nested too deeply.
    """
    kinds = root_kinds([before.encode(), after.encode()])
    if root is not None and root not in kinds:
        raise UnknownRoot(root, tuple(kinds))
    names = sorted(kinds) if root is None else [root]
    values = [name for name in names if kinds[name] is not RootKind.TEXT]
    one, other = (root_values(document.doc, kinds, values) for document in (before, after))
    found = [
        _compare_texts(before, after, name)
        if kinds[name] is RootKind.TEXT
        else Difference(root=name, kind=kinds[name], edits=list(_edits((), one[name], other[name])))
        for name in names
    ]
    return [each for each in found if each.hunks or each.formats or each.edits]


def _compare_texts(before: Document, after: Document, name: str) -> Difference:
    kind = RootKind.TEXT
    one, other = (root_of(document.doc, name, kind).diff() for document in (before, after))
    hunks, formats = diff_chunks(one, other)
    return Difference(root=name, kind=kind, hunks=hunks, formats=formats)


def _edits(path: tuple[str | int, ...], before: Json, after: Json) -> Iterator[Edit]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({**before, **after}):
            if key not in after:
                yield Edit(path=(*path, key), before=(before[key],), after=())
            elif key not in before:
                yield Edit(path=(*path, key), before=(), after=(after[key],))
            else:
                yield from _edits((*path, key), before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        yield from _edits_of_lists(path, before, after)
    elif _encoded(before) != _encoded(after):
        yield Edit(path=path, before=(before,), after=(after,))


def _edits_of_lists(
    path: tuple[str | int, ...], before: list[Json], after: list[Json]
) -> Iterator[Edit]:
    stretches = differences([_encoded(each) for each in before], [_encoded(each) for each in after])
    for start, end, start_after, end_after in stretches:
        both = min(end - start, end_after - start_after)
        for offset in range(both):
            one, other = before[start + offset], after[start_after + offset]
            yield from _edits((*path, start_after + offset), one, other)
        for index in range(start + both, end):
            yield Edit(path=(*path, index), before=(before[index],), after=())
        for index in range(start_after + both, end_after):
            yield Edit(path=(*path, index), before=(), after=(after[index],))


def _encoded(value: Json) -> str:
    """A value as a string: true is not 1, and what cannot be hashed can be compared."""
    return json.dumps(value, sort_keys=True)
