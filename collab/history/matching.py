"""Matching: what two sequences have in common, in order.

Myers' greedy algorithm, up to a number of edits: beyond it two sequences are taken for different,
so that the cost is bounded by their length and the square of that number.
Source: Eugene W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1 (1986).
"""

from array import array
from collections.abc import Hashable, Sequence
from typing import NamedTuple

MAX_EDITS = 1000


class Replaced(NamedTuple):
    """A stretch that differs: ``[start, end)`` of the one before stands for that of the other."""

    start_before: int
    end_before: int
    start_after: int
    end_after: int


def differences(
    before: Sequence[Hashable], after: Sequence[Hashable], max_edits: int = MAX_EDITS
) -> list[Replaced]:
    """Finds the stretches in which two sequences differ.

    Args:
        before: the one sequence.
        after: the other.
        max_edits: insertions and deletions of items that are looked for; with more, all between
            their common beginning and their common end is one stretch.

    Returns:
        The stretches in order; what lies between two of them is equal and not empty.
    """
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    inner_before = before[head : len(before) - tail]
    inner_after = after[head : len(after) - tail]
    if not inner_before and not inner_after:
        return []
    whole = Replaced(head, len(before) - tail, head, len(after) - tail)
    if not inner_before or not inner_after:
        return [whole]
    path = _shortest_path(inner_before, inner_after, max_edits)
    return [whole] if path is None else _gather(path, head)


def _shortest_path(
    before: Sequence[Hashable], after: Sequence[Hashable], max_edits: int
) -> list[Replaced] | None:
    """The single edits of a shortest path, from the last to the first; None where too many."""
    long, tall = len(before), len(after)
    bound = min(max_edits, long + tall)
    # How far each diagonal was followed, diagonal 0 in the middle.
    furthest = [0] * (2 * bound + 3)
    middle = bound + 1
    trace: list[array[int]] = []
    for edits in range(bound + 1):
        trace.append(array("q", furthest[middle - edits - 1 : middle + edits + 2]))
        for diagonal in range(-edits, edits + 1, 2):
            at = middle + diagonal
            x = furthest[at + 1]
            if diagonal != -edits and (diagonal == edits or furthest[at - 1] >= x):
                x = furthest[at - 1] + 1
            y = x - diagonal
            while x < long and y < tall and before[x] == after[y]:
                x += 1
                y += 1
            furthest[at] = x
            if x >= long and y >= tall:
                return _backtrack(trace, long, tall)
    return None


def _backtrack(trace: list["array[int]"], x: int, y: int) -> list[Replaced]:
    path = []
    for edits in range(len(trace) - 1, 0, -1):
        furthest = trace[edits]
        diagonal = x - y
        at = edits + 1 + diagonal
        if diagonal != -edits and (diagonal == edits or furthest[at - 1] >= furthest[at + 1]):
            x = furthest[at - 1]
            y = x - diagonal + 1
            path.append(Replaced(x, x + 1, y, y))
        else:
            x = furthest[at + 1]
            y = x - diagonal - 1
            path.append(Replaced(x, x, y, y + 1))
    return path


def _gather(path: list[Replaced], head: int) -> list[Replaced]:
    """Joins single edits that touch, and moves them to where the inner sequences begin."""
    gathered: list[Replaced] = []
    for start_before, end_before, start_after, end_after in reversed(path):
        last = gathered[-1] if gathered else None
        if last and (last.end_before, last.end_after) == (start_before, start_after):
            gathered[-1] = last._replace(end_before=end_before, end_after=end_after)
        else:
            gathered.append(Replaced(start_before, end_before, start_after, end_after))
    return [Replaced(*(place + head for place in each)) for each in gathered]
