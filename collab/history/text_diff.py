"""Text differences: hunks that turn one text into another, and formats that changed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

from collab.history.matching import MAX_EDITS, Replaced, differences
from collab.render.values import json_value

CONTEXT = 40
"""Code points of unchanged text shown on each side of a hunk."""

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_EMBED = "\ufffc"  # what Unicode has to stand for an object in a text
_FIRST_EMBED = 0xF0000  # where its private characters begin

Chunks = Sequence[tuple[object, Mapping[str, object] | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One stretch of a text that differs. Positions are in code points.

    Attributes:
        start_before: where it begins in the one text.
        start_after: where it begins in the other.
        removed: what the one has there.
        inserted: what the other has there.
        prefix: unchanged text in front of it.
        suffix: unchanged text behind it.
    """

    start_before: int
    start_after: int
    removed: str
    inserted: str
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reformat:
    """Unchanged text whose formats differ. Positions and lengths are in code points.

    Attributes:
        start_before: where it begins in the one text.
        start_after: where it begins in the other.
        length: of the text.
        before: its formats in the one.
        after: its formats in the other.
    """

    start_before: int
    start_after: int
    length: int
    before: Mapping[str, object]
    after: Mapping[str, object]


def diff_text(before: str, after: str, context: int = CONTEXT) -> list[Hunk]:
    """Compares two texts: first line by line, then word by word where lines differ.

    Args:
        before: the one text.
        after: the other.
        context: code points of unchanged text on each side of a hunk.

    Returns:
        Hunks in order; applied to ``before`` they give ``after``.
    """
    return _hunks(before, after, _stretches(before, after), context)


def _hunks(before: str, after: str, stretches: list[Replaced], context: int) -> list[Hunk]:
    hunks = []
    for index, (start, end, start_after, end_after) in enumerate(stretches):
        floor = stretches[index - 1].end_before if index else 0
        ceiling = stretches[index + 1].start_before if index + 1 < len(stretches) else len(before)
        hunks.append(
            Hunk(
                start_before=start,
                start_after=start_after,
                removed=before[start:end],
                inserted=after[start_after:end_after],
                prefix=before[max(floor, start - context) : start],
                suffix=before[end : min(ceiling, end + context)],
            )
        )
    return hunks


def diff_chunks(before: Chunks, after: Chunks) -> tuple[list[Hunk], list[Reformat]]:
    """Compares two formatted texts; U+FFFC stands for each embed."""
    embeds: dict[str, str] = {}
    one, other = _flat(before, embeds), _flat(after, embeds)
    stretches = _stretches(one, other)
    hunks = _hunks(one, other, stretches, CONTEXT)
    if embeds:
        shown = str.maketrans(dict.fromkeys(embeds.values(), _EMBED))
        hunks = [
            replace(
                hunk,
                removed=hunk.removed.translate(shown),
                inserted=hunk.inserted.translate(shown),
                prefix=hunk.prefix.translate(shown),
                suffix=hunk.suffix.translate(shown),
            )
            for hunk in hunks
        ]
    return hunks, _diff_formats(_formats(before), _formats(after), stretches)


def _diff_formats(
    formats_before: list[Mapping[str, object]],
    formats_after: list[Mapping[str, object]],
    stretches: list[Replaced],
) -> list[Reformat]:
    """Compares the formats of the characters outside the stretches that differ."""
    found: list[Reformat] = []
    at_before = at_after = 0
    for start, end, _, end_after in [*stretches, Replaced(len(formats_before), 0, 0, 0)]:
        while at_before < start:
            one, other = formats_before[at_before], formats_after[at_after]
            if one != other:
                last = found[-1] if found else None
                if (
                    last
                    and (last.before, last.after) == (one, other)
                    and last.start_before + last.length == at_before
                    and last.start_after + last.length == at_after
                ):
                    found.pop()
                    length = last.length + 1
                else:
                    length = 1
                found.append(
                    Reformat(
                        start_before=at_before - length + 1,
                        start_after=at_after - length + 1,
                        length=length,
                        before=one,
                        after=other,
                    )
                )
            at_before += 1
            at_after += 1
        at_before, at_after = end, end_after
    return found


def _flat(chunks: Chunks, embeds: dict[str, str]) -> str:
    """The characters of a formatted text, with a private one for each different embed."""
    characters = []
    for insert, _ in chunks:
        if isinstance(insert, str):
            characters.append(insert)
        else:
            value = json.dumps(json_value(insert), sort_keys=True)
            characters.append(embeds.setdefault(value, chr(_FIRST_EMBED + len(embeds) % 0xFFFE)))
    return "".join(characters)


def _formats(chunks: Chunks) -> list[Mapping[str, object]]:
    """The formats of each character."""
    formats: list[Mapping[str, object]] = []
    for insert, given in chunks:
        shown = {key: value for key, value in (given or {}).items() if value is not None}
        formats += [shown] * (len(insert) if isinstance(insert, str) else 1)
    return formats


def _stretches(before: str, after: str) -> list[Replaced]:
    """Where two texts differ, in code points."""
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    blocks = _by_tokens(*lines, MAX_EDITS)
    # The work grows with the square of the edits, and is bounded for all blocks together.
    most = min(MAX_EDITS, 2 * MAX_EDITS // max(isqrt(len(blocks)), 1))
    return [
        _trim(
            before, after, Replaced(start + one, start + end, start_after + two, start_after + to)
        )
        for start, stop, start_after, stop_after in blocks
        for one, end, two, to in _by_tokens(
            _WORDS.findall(before[start:stop]), _WORDS.findall(after[start_after:stop_after]), most
        )
    ]


def _by_tokens(before: Sequence[str], after: Sequence[str], max_edits: int) -> list[Replaced]:
    """Compares texts cut into tokens; what it returns counts code points."""
    starts_before, starts_after = _starts(before), _starts(after)
    return [
        Replaced(
            starts_before[start], starts_before[end], starts_after[start_after], starts_after[stop]
        )
        for start, end, start_after, stop in differences(before, after, max_edits)
    ]


def _starts(tokens: Sequence[str]) -> list[int]:
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token))
    return starts


def _trim(before: str, after: str, stretch: Replaced) -> Replaced:
    """Leaves out what a stretch begins and ends with on both sides: parts of words."""
    start, end, start_after, end_after = stretch
    while start < end and start_after < end_after and before[start] == after[start_after]:
        start += 1
        start_after += 1
    while start < end and start_after < end_after and before[end - 1] == after[end_after - 1]:
        end -= 1
        end_after -= 1
    return Replaced(start, end, start_after, end_after)
