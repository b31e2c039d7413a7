from collab.history.changes import Change, Changes
from collab.store import Entry


def entry(seq: int, author: str | None, seconds: float) -> Entry:
    return Entry(seq=seq, update=b"xx", time_ms=int(seconds * 1000), author=author)


def gathered(*entries: Entry, limit: int = 100) -> list[Change]:
    changes = Changes(60)
    changes.take(entries, limit)
    return changes.gathered


def test_what_one_author_did_without_a_pause_is_one_change() -> None:
    (change,) = gathered(entry(1, "a", 0), entry(2, "a", 60), entry(3, "a", 120))
    assert change == Change(
        author="a", first_seq=1, last_seq=3, first_ms=0, last_ms=120_000, entries=3, bytes=6
    )


def test_a_pause_begins_another() -> None:
    changes = gathered(entry(1, "a", 0), entry(2, "a", 60.001))
    assert [(change.first_seq, change.last_seq) for change in changes] == [(1, 1), (2, 2)]


def test_people_who_write_at_the_same_time_have_a_change_each() -> None:
    changes = gathered(*(entry(seq, "ab"[seq % 2], seq) for seq in range(1, 9)), entry(9, None, 9))
    assert [(change.author, change.first_seq, change.last_seq) for change in changes] == [
        ("b", 1, 7),
        ("a", 2, 8),
        (None, 9, 9),
    ]


def test_backwards_the_same_changes_are_gathered() -> None:
    entries = [entry(seq, "ab"[seq % 2], seq * (1 if seq < 6 else 30)) for seq in range(1, 12)]
    backwards = gathered(*reversed(entries))
    assert sorted(gathered(*entries), key=str) == sorted(backwards, key=str)


def test_a_clock_that_jumps_back_within_the_pause_changes_nothing() -> None:
    (change,) = gathered(entry(1, "a", 100), entry(2, "a", 50), entry(3, "a", 160))
    assert (change.first_ms, change.last_ms) == (50_000, 160_000)


def test_a_bound_is_kept_and_the_entry_beyond_it_is_named() -> None:
    changes = Changes(60)
    entries = [entry(1, "a", 0), entry(2, "b", 0), entry(3, "a", 1), entry(4, "c", 1)]
    assert changes.take(entries, 2) == 4
    assert [(change.author, change.last_seq) for change in changes.gathered] == [("a", 3), ("b", 2)]
    assert Changes(60).take(entries, 3) is None
