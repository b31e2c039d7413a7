"""The policy, on shapes alone: what each action leaves is worked out here."""

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given

from collab.archive import KEEP_ALL, Retention, Terms
from collab.storage.compaction import (
    BLOCK_BYTES,
    BLOCK_ENTRIES,
    FREE_PAGES,
    STEP_ENTRIES,
    Action,
    Block,
    Checkpoint,
    Drop,
    Pack,
    Shape,
    next_action,
    pages_to_free,
)

DAY = 86_400_000


def shape(seq: int, **more: object) -> Shape:
    plain = Shape(
        seq=seq,
        base_seq=0,
        state_seq=0,
        state_bytes=0,
        tail=None,
        oldest_ms=0 if seq else None,
        newest_ms=0,
        retention=None,
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # any of its fields


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    base_seq = draw(st.integers(0, 3) | st.integers(0, 9000))
    packed = draw(st.integers(0, 3) | st.integers(0, 3000))
    loose = draw(st.integers(0, 30) | st.integers(0, 9000))
    behind = draw(st.integers(0, 30) | st.integers(0, 20_000))
    tail = None
    if packed:
        held = draw(st.integers(1, min(packed, BLOCK_ENTRIES)))
        last_seq = base_seq + packed
        size = draw(st.integers(0, 2 * BLOCK_BYTES))
        tail = Block(first_seq=last_seq - held + 1, last_seq=last_seq, bytes=size)
    kept = packed + loose + behind
    return Shape(
        seq=base_seq + kept,
        base_seq=base_seq,
        state_seq=base_seq + packed + loose,
        state_bytes=draw(st.integers(0, 10_000_000)),
        tail=tail,
        oldest_ms=draw(st.integers(0, 100 * DAY)) if kept else None,
        newest_ms=draw(st.integers(0, 100 * DAY)),
        retention=draw(st.none() | retentions),
    )


retentions = st.sampled_from([KEEP_ALL, Retention(0), Retention(7), Retention(30 * DAY)])
terms = st.builds(
    Terms,
    now_ms=st.integers(0, 200 * DAY),
    history=retentions,
    quiet_ms=st.sampled_from([0, 1, 3_600_000, 300 * DAY]),
)


def after(shape: Shape, action: Action, drawn: st.DataObject) -> Shape:
    """The shape that an action leaves: a drop ends, and a block is full, anywhere it may."""
    if isinstance(action, Checkpoint):
        return replace(shape, state_seq=action.seq)
    if isinstance(action, Drop):
        base_seq = drawn.draw(st.integers(shape.base_seq + 1, action.last_seq))
        tail = shape.tail
        if tail is not None and tail.last_seq <= base_seq:
            tail = None
        elif tail is not None and tail.first_seq <= base_seq:
            tail = replace(tail, first_seq=base_seq + 1)
        ended = base_seq < action.last_seq
        oldest_ms = action.until_ms + 1 if ended else shape.oldest_ms
        return replace(
            shape,
            base_seq=base_seq,
            tail=tail,
            oldest_ms=oldest_ms if base_seq < shape.seq else None,
        )
    packed_seq = shape.base_seq if shape.tail is None else shape.tail.last_seq
    last_seq = drawn.draw(st.integers(packed_seq + 1, action.last_seq))
    size = 10 if last_seq == action.last_seq else BLOCK_BYTES
    return replace(shape, tail=Block(first_seq=action.first_seq, last_seq=last_seq, bytes=size))


@given(shapes(), terms, st.data())
def test_a_document_comes_to_rest(shape: Shape, terms: Terms, drawn: st.DataObject) -> None:
    for _ in range(shape.seq - shape.base_seq + 50):
        action = next_action(shape, terms)
        if action is None:
            return
        shape = after(shape, action, drawn)
    raise AssertionError(f"expected rest, got {next_action(shape, terms)} for {shape}")


@given(shapes(), terms)
def test_nothing_beyond_the_newest_state_is_packed_or_dropped(shape: Shape, terms: Terms) -> None:
    action = next_action(shape, terms)
    if isinstance(action, Pack):
        packed_seq = shape.base_seq if shape.tail is None else shape.tail.last_seq
        assert packed_seq < action.last_seq <= shape.state_seq
        assert action.last_seq - action.first_seq < BLOCK_ENTRIES
        starts = {packed_seq + 1} | ({shape.tail.first_seq} if shape.tail else set())
        assert action.first_seq in starts
    elif isinstance(action, Drop):
        assert shape.base_seq < action.last_seq <= shape.state_seq
    elif isinstance(action, Checkpoint):
        assert shape.state_seq < action.seq <= shape.seq
        assert action.seq - shape.state_seq <= STEP_ENTRIES


@given(shapes(), terms)
def test_nothing_younger_than_its_time_is_dropped(shape: Shape, terms: Terms) -> None:
    action = next_action(shape, terms)
    if isinstance(action, Drop):
        kept_ms = (shape.retention or terms.history).milliseconds
        assert kept_ms is not None
        assert shape.oldest_ms is not None
        assert shape.oldest_ms <= action.until_ms == terms.now_ms - kept_ms


@given(shapes(), terms)
def test_what_is_kept_for_ever_is_never_dropped(shape: Shape, terms: Terms) -> None:
    action = next_action(replace(shape, retention=KEEP_ALL), terms)
    assert not isinstance(action, Drop)


def test_full_blocks_are_packed_while_people_type() -> None:
    busy = Terms(now_ms=0)
    assert next_action(shape(1500, state_seq=999), busy) is None
    assert next_action(shape(1500, state_seq=1400), busy) == Pack(1, 1000)
    full = Block(first_seq=1, last_seq=1000, bytes=1)
    assert next_action(shape(1500, state_seq=1400, tail=full), busy) is None
    part = Block(first_seq=1, last_seq=600, bytes=1)
    assert next_action(shape(1500, state_seq=1400, tail=part), busy) == Pack(1, 1000)


def test_the_rest_is_packed_once_a_document_is_quiet() -> None:
    quiet = Terms(now_ms=3_600_000)
    full = Block(first_seq=1, last_seq=1000, bytes=1)
    assert next_action(shape(1500, state_seq=1400, tail=full), quiet) == Checkpoint(1500)
    assert next_action(shape(1500, state_seq=1500, tail=full), quiet) == Pack(1001, 1500)
    heavy = Block(first_seq=1, last_seq=3, bytes=BLOCK_BYTES)
    assert next_action(shape(50, state_seq=50, tail=heavy), quiet) == Pack(4, 50)
    assert next_action(shape(19, state_seq=19), quiet) is None


def test_a_log_that_nobody_checkpoints_gets_one_in_parts() -> None:
    busy = Terms(now_ms=0)
    assert next_action(shape(1999), busy) is None
    assert next_action(shape(9000), busy) == Checkpoint(STEP_ENTRIES)
    assert next_action(shape(2000, state_bytes=10_000_000), busy) is None


def test_free_pages_beyond_a_share_are_given_back() -> None:
    assert pages_to_free(FREE_PAGES, 300) == 0
    assert pages_to_free(FREE_PAGES + 5, 300) == 5
    assert pages_to_free(1000, 10_000) == 0
    assert pages_to_free(1500, 10_000) == 500
