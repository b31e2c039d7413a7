"""Records: what a history tells, as JSON for REST and the command line."""

from collections.abc import Sequence
from dataclasses import asdict

from collab.history.attribution import AttributedText, Run
from collab.history.changes import Change
from collab.history.difference import Difference, Edit
from collab.render.values import Json
from collab.versions import Version


def change_record(change: Change) -> dict[str, Json]:
    """A change, with the names of its attributes."""
    return asdict(change)


def version_record(version: Version) -> dict[str, Json]:
    """A version, with the names of its attributes but for ``pinned``, which is the store's."""
    record = asdict(version)
    del record["pinned"]
    return record


def difference_record(difference: Difference) -> dict[str, Json]:
    """What differs in a root: ``hunks`` and ``formats`` of a text, ``edits`` of other kinds."""
    record: dict[str, Json] = {"root": difference.root, "kind": difference.kind.value}
    if difference.hunks or difference.formats:
        record["hunks"] = [asdict(hunk) for hunk in difference.hunks]
        record["formats"] = [asdict(reformat) for reformat in difference.formats]
    else:
        record["edits"] = [_edit_record(edit) for edit in difference.edits]
    return record


def text_record(text: AttributedText) -> dict[str, Json]:
    """A text with its runs and who wrote them."""
    return {"path": list(text.path), "runs": [_run_record(run) for run in text.runs]}


def _edit_record(edit: Edit) -> dict[str, Json]:
    """An edit; ``before`` and ``after`` are only there where there is such a value."""
    record: dict[str, Json] = {"path": list(edit.path)}
    sides: Sequence[tuple[str, Sequence[Json]]] = (("before", edit.before), ("after", edit.after))
    for side, values in sides:
        for value in values:
            record[side] = value
    return record


def _run_record(run: Run) -> dict[str, Json]:
    """A run; who and when are null where it is older than the history."""
    change = run.change
    return {
        "insert": run.insert,
        "author": change.author if change else None,
        "first_ms": change.first_ms if change else None,
        "last_ms": change.last_ms if change else None,
        "first_seq": change.first_seq if change else None,
        "last_seq": change.last_seq if change else None,
    }
