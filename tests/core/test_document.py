"""Document: what it was given, integrated or not, and nothing poisoned."""

import random
from contextlib import suppress
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.checking import check_update
from collab.document import Document
from collab.errors import PairsCut, PoisonedUpdate, ProtocolError, StoreError
from collab.lib0 import write_var_string, write_var_uint
from collab.merging import merge
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.store import Entry, Stored
from collab.structs import Kind, read_structs
from tests.core import poison


def typed(*words: str, client: int = 1, root: str = "text") -> list[bytes]:
    """One update for each word that somebody appends."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    text = doc.get(root, type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for word in words:
        text += word
    doc.unobserve(subscription)
    return updates


def deleted(updates: list[bytes], start: int, end: int, client: int = 1) -> bytes:
    """The update of somebody who has these and deletes a range, in bytes of the text."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    for update in updates:
        doc.apply_update(update)
    before = doc.get_state()
    del doc.get("text", type=pycrdt.Text)[start:end]
    return doc.get_update(before)


def document_of(*updates: bytes) -> Document:
    document = Document()
    for update in updates:
        document.apply(update)
    return document


def written_together(seed: int) -> list[bytes]:
    """The updates of three people who write one text, hearing of each other now and then."""
    choose = random.Random(seed)
    updates: list[bytes] = []
    docs: list[pycrdt.Doc[Any]] = [pycrdt.Doc(client_id=number) for number in (1, 2, 3)]
    for doc in docs:
        doc.observe(lambda event: updates.append(event.update))
    for _ in range(40):
        doc, other = choose.choice(docs), choose.choice(docs)
        text = doc.get("text", type=pycrdt.Text)
        length = len(str(text))
        if length and choose.random() < 0.3:
            at = choose.randrange(length)
            del text[at : at + 1]
        else:
            text.insert(choose.randint(0, length), choose.choice("abc"))
        if choose.random() < 0.5:
            other.apply_update(doc.get_update(other.get_state()))
    return list(dict.fromkeys(updates))


def text_of(update: bytes, root: str = "text") -> str:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(update)
    return str(doc.get(root, type=pycrdt.Text))


def entries(*updates: bytes, first_seq: int = 1) -> list[Entry]:
    return [
        Entry(seq=seq, update=update, time_ms=0, author=None)
        for seq, update in enumerate(updates, first_seq)
    ]


A, B, C, D = typed("a", "é", "😀", "d")


class TestApply:
    def test_updates_in_order_are_integrated(self) -> None:
        document = document_of(A, B, C, D)
        assert str(document.doc.get("text", type=pycrdt.Text)) == "aé😀d"
        assert document.pending_bytes == 0

    def test_an_update_that_came_too_early_waits_and_is_encoded(self) -> None:
        document = document_of(A, C)
        assert document.pending_bytes > 0
        assert text_of(merge([document.encode(), B])) == "aé😀"
        document.apply(B)
        assert document.pending_bytes == 0
        assert text_of(document.encode()) == "aé😀"

    def test_deletions_that_came_before_what_they_delete_wait(self) -> None:
        deletion = deleted([A, B], 0, 1)
        document = document_of(deletion)
        assert document.pending_bytes > 0
        document.apply(merge([A, B]))
        assert document.pending_bytes == 0
        assert text_of(document.encode()) == "é"

    def test_the_same_early_update_is_kept_once(self) -> None:
        document = document_of(A, C)
        size = document.pending_bytes
        document.apply(C)
        assert document.pending_bytes == size

    def test_each_update_counts_as_a_version(self) -> None:
        document = document_of(A)
        version = document.version
        document.apply(B)
        assert document.version != version

    @given(st.permutations(typed("a", "é", "e\u0301", "😀", "👨‍👩‍👧", "x", "y")), st.integers(0, 7))
    def test_any_order_and_any_repetition_give_the_same_text(
        self, updates: list[bytes], repeated: int
    ) -> None:
        document = document_of(*updates, *updates[:repeated])
        assert text_of(document.encode()) == "aée\u0301😀👨‍👩‍👧xy"
        assert document.pending_bytes == 0

    @pytest.mark.parametrize("seed", range(20))
    def test_what_came_out_of_order_waits_no_longer_once_nothing_is_missing(
        self, seed: int
    ) -> None:
        updates = written_together(seed)
        random.Random(seed).shuffle(updates)
        document = document_of(*updates)
        assert document.pending_bytes == 0
        assert document.state_vector == document_of(merge(updates)).state_vector

    @given(st.permutations(typed(*"abcdefgh")), st.integers(0, 8))
    def test_whole_and_pending_survive_a_reload(self, updates: list[bytes], arrived: int) -> None:
        document = document_of(*updates[:arrived])
        stored = Stored(
            document="d", seq=0, checkpoint=document.encode(), checkpoint_seq=0, entries=()
        )
        reloaded = Document.load(stored)
        for update in updates[arrived:]:
            reloaded.apply(update)
        assert text_of(reloaded.encode()) == "abcdefgh"


class TestIntegrate:
    def test_it_tells_the_new_part_alone(self) -> None:
        document = document_of(A, B)
        news = document.integrate(merge([A, B, C]))
        assert news is not None
        assert len(news) <= len(C)
        assert text_of(merge([A, B, news])) == "aé😀"

    @pytest.mark.parametrize("known", [[A, B], [A, B, deleted([A, B], 0, 1)], [A, C]])
    def test_nothing_new_is_none(self, known: list[bytes]) -> None:
        document = document_of(*known)
        assert document.integrate(merge(known)) is None
        assert document.integrate(EMPTY_UPDATE) is None

    def test_deletions_alone_are_news(self) -> None:
        deletion = deleted([A, B], 0, 1)
        document = document_of(A, B)
        news = document.integrate(deletion)
        assert news is not None
        assert text_of(merge([A, B, news])) == "é"
        assert document.integrate(deletion) is None

    def test_an_early_update_is_news_once(self) -> None:
        document = document_of(A)
        assert document.integrate(C) is not None
        assert document.integrate(C) is None

    def test_an_early_update_is_news_also_when_an_earlier_one_stops_waiting(self) -> None:
        first, _, third = typed("x", "y", "z", client=2)
        document = document_of(B)
        news = document.integrate(merge([A, third]))
        assert news is not None
        heir = document_of(B, news)
        heir.apply(typed("x", "y", "z", client=2)[1])
        heir.apply(first)
        assert text_of(heir.encode()).count("z") == 1

    @given(st.data())
    def test_who_gets_only_news_ends_where_the_document_does(self, data: st.DataObject) -> None:
        mine = typed(*"abcdef")
        others = typed(*"uvwxyz", client=2)
        updates = data.draw(st.permutations([*mine, *others]))
        document, heir = Document(), Document()
        while updates:
            size = data.draw(st.integers(1, len(updates)))
            group, updates = updates[:size], updates[size:]
            news = document.integrate(merge(group))
            if news is not None:
                heir.apply(news)
            assert heir.state_vector == document.state_vector
            assert (heir.pending_bytes > 0) == (document.pending_bytes > 0)
        assert text_of(heir.encode()) == text_of(document.encode())


class TestDiff:
    def test_a_stranger_gets_everything(self) -> None:
        document = document_of(A, B, C)
        assert document.diff(EMPTY_STATE_VECTOR) == document.encode()

    def test_somebody_up_to_date_gets_nothing(self) -> None:
        document = document_of(A, B)
        assert document.diff(document.state_vector) == EMPTY_UPDATE

    def test_it_includes_what_still_waits(self) -> None:
        reader = document_of(A)
        diff = document_of(A, C).diff(reader.state_vector)
        assert text_of(merge([A, diff, B])) == "aé😀"

    @given(st.integers(0, 6), st.integers(0, 6))
    def test_known_and_diff_make_the_whole(self, known: int, there: int) -> None:
        updates = typed(*"a😀cdef")
        reader = document_of(*updates[: min(known, there)])
        document = document_of(*updates[:there])
        reader.apply(document.diff(reader.state_vector))
        assert text_of(reader.encode()) == "a😀cdef"[:there]

    @pytest.mark.parametrize("known", [b"", b"\x05", b"\x01\x05", b"\x01" + b"\xff" * 12])
    def test_what_is_no_state_vector_is_refused(self, known: bytes) -> None:
        with pytest.raises(ProtocolError):
            document_of(A).diff(known)

    def test_a_state_vector_of_more_clients_than_it_has_bytes_for_is_refused_unread(self) -> None:
        declares_half_a_billion = bytes.fromhex("a6ffa6ff01000000")
        with pytest.raises(ProtocolError, match="clients, got 3 bytes"):
            document_of(A).diff(declares_half_a_billion)


def starting(clock: int, text: str, *, client: int = 1) -> bytes:
    """The update of somebody who goes on writing after a clock of their own."""
    after = b"\x84" + write_var_uint(client) + write_var_uint(clock - 1)
    return poison.update_of(after + write_var_string(text), client=client, clock=clock)


def beside(place: int, text: str, *, client: int = 2) -> bytes:
    """The update of somebody who writes before a clock of client 1 and after the one before it."""
    between = b"\xc4\x01" + write_var_uint(place - 1) + b"\x01" + write_var_uint(place)
    return poison.update_of(between + write_var_string(text), client=client)


def deletion(clock: int, length: int) -> bytes:
    """The update of somebody who deletes clocks of client 1."""
    return poison.update_of(deletions=b"\x01\x01\x01" + bytes((clock, length)))


SMILE = poison.update_of(poison.in_root(4, write_var_string("a😀b")), client=1)
CUTS = {
    "written between": (beside(2, "x"), "a\ufffdx\ufffdb"),
    "the first half deleted": (deletion(1, 1), "a\ufffdb"),
    "the second half deleted": (deletion(2, 1), "a\ufffdb"),
    "deleted up to the second half": (deletion(0, 2), "\ufffdb"),
}


class TestPairs:
    """A character that UTF-16 writes as a pair, and a client that replaces half of it.

    ``tests/e2e/test_pairs.py`` has Yjs itself cut them; here is what it does not come to write.
    """

    def test_clients_show_two_replacement_characters(self) -> None:
        assert text_of(poison.PAIR_AS_YJS_HAS_IT, "t") == "a\ufffd\ufffdb"

    def test_the_server_shows_what_clients_show_and_counts_no_clock_twice(self) -> None:
        document = document_of(poison.PAIR, poison.HALF_OF_IT_REPLACED)
        again = document_of(document.encode())
        assert again.state_vector == document.state_vector
        assert text_of(again.encode(), "t") == "a\ufffd\ufffdb"

    @pytest.mark.parametrize(("cut", "shown"), CUTS.values(), ids=CUTS)
    def test_what_cuts_a_pair_may_come_first_or_last_or_with_it(
        self, cut: bytes, shown: str
    ) -> None:
        ways = [[SMILE, cut], [cut, SMILE], [merge([SMILE, cut])], [merge([cut, SMILE])]]
        encoded = {document_of(*way).encode() for way in ways}
        assert {text_of(whole) for whole in encoded} == {shown}
        assert {document_of(whole).state_vector for whole in encoded} == {
            document_of(*ways[0]).state_vector
        }

    def test_what_is_written_beside_a_pair_leaves_it_whole(self) -> None:
        document = document_of(SMILE, beside(1, "x"), beside(3, "y", client=3), deletion(3, 1))
        assert text_of(document.encode()) == "ax😀y"

    def test_a_pair_is_cut_once(self) -> None:
        document = document_of(SMILE, beside(2, "x"), beside(2, "y", client=3), deletion(2, 1))
        assert text_of(document.encode()) == "a\ufffdxyb"

    def test_a_document_too_long_to_be_made_anew_at_once_is_as_it_was_until_it_was(self) -> None:
        waiting = poison.update_of(b"\x84\x01\x09" + write_var_string("😀"), client=2, clock=1)
        cut = merge([deletion(2, 1), starting(4, "😀"), deletion(4, 1)])
        document = document_of(SMILE, waiting)
        document.max_cutting_bytes = 10
        before = document.encode()
        for _ in range(2):
            with pytest.raises(PairsCut, match="expected at most 10 bytes, got") as caught:
                document.apply(cut)
            assert document.encode() == before
        cutting = caught.value.cutting
        cutting.carry_out()
        document.take_over(cutting)
        document.apply(cut)
        assert text_of(document.encode()) == "a\ufffdb\ufffd"
        assert document.encode() == document_of(SMILE, waiting, cut).encode()

    def test_a_pair_that_waits_is_cut_by_what_waits(self) -> None:
        first, late = typed("a")[0], starting(2, "😀b")
        document = document_of(late, beside(3, "x"), first, starting(1, "c"))
        assert text_of(document.encode()) == "ac\ufffdx\ufffdb"
        assert document.pending_bytes == 0

    def test_what_cuts_a_pair_and_waits_cuts_it_already(self) -> None:
        cut = poison.update_of(b"\xc4\x01\x01\x01\x02" + write_var_string("y"), client=2, clock=1)
        document = document_of(SMILE, cut)
        assert document.pending_bytes > 0
        assert "😀" not in text_of(document.encode())
        document.apply(beside(1, "x"))
        assert document.encode() == document_of(beside(1, "x"), cut, SMILE).encode()
        assert text_of(document.encode()) == "ax\ufffdy\ufffdb"

    @pytest.mark.parametrize("keep_deleted", [False, True])
    def test_what_was_deleted_is_kept_as_before_when_a_pair_is_cut(
        self, keep_deleted: bool
    ) -> None:
        document = Document(keep_deleted=keep_deleted)
        for update in (SMILE, deletion(0, 1), beside(2, "x")):
            document.apply(update)
        kept = [struct.kind for struct in read_structs(document.encode()) if struct.clock == 0]
        assert (Kind.DELETED in kept) is not keep_deleted
        assert text_of(document.encode()) == "\ufffdx\ufffdb"

    def test_integrating_tells_what_cut_it_alone(self) -> None:
        document = document_of(SMILE)
        assert document.integrate(beside(2, "x")) == beside(2, "x")
        assert document.integrate(beside(2, "x")) is None
        assert document.integrate(SMILE) is None

    def test_who_has_half_of_a_pair_gets_a_replacement_character_for_the_rest(self) -> None:
        half = poison.update_of(poison.in_root(4, write_var_string("a\ufffd")), client=1)
        reader = document_of(half)
        reader.apply(document_of(SMILE).diff(reader.state_vector))
        assert reader.state_vector == document_of(SMILE).state_vector
        assert text_of(reader.encode()) == "a\ufffd\ufffdb"

    @pytest.mark.parametrize(
        "pieces",
        [
            [starting(2, "\ufffd"), starting(2, "😀b")],
            [starting(3, "\ufffd"), starting(2, "😀b")],
            [starting(2, "😀b"), starting(2, "\ufffd")],
            [starting(2, "😀b"), starting(3, "\ufffd")],
            [starting(2, "\ufffd"), starting(3, "\ufffdb"), starting(2, "😀b")],
        ],
        ids=["first half", "second half", "then first half", "then second half", "both halves"],
    )
    def test_a_pair_of_which_halves_came_otherwise_counts_two_clocks(
        self, pieces: list[bytes]
    ) -> None:
        before, after = [*typed("a"), starting(1, "c")], [starting(5, "d")]
        ways = [[*pieces, *before], [merge(pieces), *before], [*before, merge(pieces)]]
        if pieces[0] == starting(2, "\ufffd"):
            ways.append([*before, *pieces])  # Whoever has all of it already keeps what it has.
        for way in ways:
            document = document_of(*way, *after)
            again = document_of(document.encode())
            assert again.state_vector == document.state_vector == b"\x01\x01\x06"
            assert text_of(again.encode()) == "ac\ufffd\ufffdbd"

    def test_strings_in_maps_and_formats_are_never_cut(self) -> None:
        doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=1)
        entries = doc.get("map", type=pycrdt.Map)
        text = doc.get("text", type=pycrdt.Text)
        entries["😀"] = "😀"
        text.insert(0, "ab", {"😀": "😀"})
        document = document_of(doc.get_update(), deletion(1, 1), beside(3, "x"))
        shown: pycrdt.Doc[Any] = pycrdt.Doc()
        shown.apply_update(document.encode())
        assert shown.get("map", type=pycrdt.Map).to_py() == {"😀": "😀"}
        assert "\ufffd" not in repr(shown.get("text", type=pycrdt.Text).diff())

    @given(st.binary(max_size=60), st.integers(0, 60))
    def test_what_is_no_update_is_refused_whatever_it_has_of_a_pair(
        self, noise: bytes, at: int
    ) -> None:
        document = document_of(SMILE)
        with suppress(PoisonedUpdate):
            document.apply(noise[:at] + "😀".encode() + noise[at:])


class TestLoad:
    def test_checkpoint_and_log_are_replayed(self) -> None:
        stored = Stored(
            document="d",
            seq=4,
            checkpoint=document_of(A, B).encode(),
            checkpoint_seq=2,
            entries=entries(C, D, first_seq=3),
        )
        assert text_of(Document.load(stored).encode()) == "aé😀d"

    def test_a_long_log_is_replayed_whole(self) -> None:
        words = [random.Random(1).choice("aé😀") for _ in range(450)]
        stored = Stored(
            document="d",
            seq=450,
            checkpoint=None,
            checkpoint_seq=0,
            entries=entries(*typed(*words)),
        )
        assert text_of(Document.load(stored).encode()) == "".join(words)

    @pytest.mark.parametrize("broken", [b"\xff\xff", poison.CHILD_OF_A_STRING])
    def test_an_entry_that_does_not_apply_is_named_by_its_seq(self, broken: bytes) -> None:
        stored = Stored(
            document="d",
            seq=2,
            checkpoint=poison.HELLO,
            checkpoint_seq=1,
            entries=entries(broken, first_seq=2),
        )
        with pytest.raises(StoreError, match=r"expected 'd' 2\.\.2 to apply"):
            Document.load(stored)

    def test_a_checkpoint_that_does_not_apply_is_named(self) -> None:
        stored = Stored(document="d", seq=1, checkpoint=b"\xff\xff", checkpoint_seq=1, entries=())
        with pytest.raises(StoreError, match="expected a checkpoint of 'd'"):
            Document.load(stored)


class TestPoison:
    @pytest.mark.parametrize("update", poison.UNDECODABLE.values(), ids=poison.UNDECODABLE)
    def test_what_is_no_update_is_refused(self, update: bytes) -> None:
        with pytest.raises(PoisonedUpdate) as caught:
            check_update(update)
        assert caught.value.update == update

    @pytest.mark.parametrize("update", poison.UNKEEPABLE.values(), ids=poison.UNKEEPABLE)
    def test_what_could_not_be_kept_or_passed_on_is_refused(self, update: bytes) -> None:
        with pytest.raises(PoisonedUpdate):
            check_update(update)

    def test_what_decodes_and_does_not_apply_raises_on_applying(self) -> None:
        check_update(poison.CHILD_OF_A_STRING)
        document = document_of(poison.HELLO)
        with pytest.raises(PoisonedUpdate, match="expected an update that applies"):
            document.apply(poison.CHILD_OF_A_STRING)

    def test_merging_what_does_not_decode_raises(self) -> None:
        with pytest.raises(PoisonedUpdate):
            merge([A, b"\xff\xff"])

    @given(st.binary(max_size=80))
    def test_arbitrary_bytes_raise_only_poisoned_update(self, update: bytes) -> None:
        document = document_of(poison.HELLO)
        try:
            check_update(update)
            document.apply(update)
        except PoisonedUpdate:
            return
        assert text_of(document.encode()).count("hello") == 1

    @given(st.data())
    def test_what_is_let_in_can_be_read_back(self, data: st.DataObject) -> None:
        update = bytearray(
            data.draw(st.sampled_from([*typed("hello", "é😀"), deleted([A, B], 0, 1), A, D]))
        )
        for _ in range(data.draw(st.integers(1, 3))):
            update[data.draw(st.integers(0, len(update) - 1))] = data.draw(st.integers(0, 255))
        document = document_of(poison.HELLO)
        try:
            check_update(bytes(update))
            document.apply(bytes(update))
        except PoisonedUpdate:
            return
        # Who forges other content for known clocks may lose it, but spoils no encoding.
        reopened = document_of(document.encode())
        # Three bytes are changed at most: nobody forges a client id of four.
        reopened.apply(typed("still writable", client=2**28 - 3)[0])
        assert "still writable" in text_of(reopened.encode())


class TestWhatItHas:
    def test_is_what_it_was_given_whole_or_in_part(self) -> None:
        words = typed("one", "two")
        document = document_of(*words)
        assert document.has(EMPTY_UPDATE)
        assert document.has(merge(words))
        assert not document.has(merge(typed("one", "two", "three")))

    def test_is_not_a_deletion_that_it_was_not_given(self) -> None:
        words = typed("one", "two")
        document = document_of(*words)
        deletion = deleted(words, 1, 4)
        assert deletion[0] == 0
        assert not document.has(deletion)
        document.apply(deletion)
        assert document.has(deletion)
        assert document.has(deleted(words, 2, 3))
        assert not document.has(deleted(words, 2, 5))

    def test_is_a_deletion_too_that_still_waits(self) -> None:
        words = typed("one", "two")
        deletion = deleted(words, 1, 4)
        document = document_of(words[0], deletion)
        assert document.pending_bytes
        assert document.has(deletion)

    def test_stays_what_it_was_once_the_deleted_text_is_collected(self) -> None:
        words = typed("one", "two")
        document = document_of(*words)
        document.apply(deleted(words, 0, 6))
        assert document_of(document.encode()).has(deleted(words, 0, 6))
