"""Integrity and repair over real files: bytes flipped, rows deleted, pages overwritten."""

import random
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pycrdt
import pytest

from collab.archive import KEEP_ALL, Terms
from collab.document import Document
from collab.errors import DocumentNotFound, StoreError
from collab.quarantine import Refused
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.connection import connect_reader, connect_writer
from collab.storage.sqlite.integrity import Findings, check_document, check_file
from collab.storage.sqlite.repair import repair
from collab.storage.sqlite.stretches import read_stretches
from collab.store import Append, Entry, NewEntry
from collab.versions import Version
from tests.core import poison
from tests.storage.damage import DAY_MS, PACKED, WORDS, append, execute, flip, make, typed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "collab.db"
    make(path)
    return path


def checked(path: Path, document: str = "d") -> Findings:
    with closing(connect_reader(path, busy_seconds=1)) as connection:
        connection.execute("BEGIN")
        return check_document(connection, document)


def faults(path: Path) -> list[str]:
    return [str(fault) for fault in checked(path).faults]


def mended(path: Path) -> int:
    """Repairs; returns how much was set aside."""
    with closing(connect_writer(path, synchronous="NORMAL", busy_seconds=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        set_aside = repair(connection, check_document(connection, "d"), now_ms=7)
        connection.execute("COMMIT")
    assert faults(path) == []
    return set_aside


def make_empty(path: Path, *, checkpoint: bytes, seq: int) -> None:
    """A document of which the checkpoint alone is left."""

    async def write() -> None:
        async with SQLiteStore(path) as store:
            entry = NewEntry(update=b"\0\0", time_ms=1)
            await store.append([Append(document="d", entries=[entry], checkpoint=checkpoint)])

    anyio.run(write)
    execute(path, "DELETE FROM updates")
    execute(path, "UPDATE documents SET seq = ?", seq)
    execute(path, "UPDATE checkpoints SET seq = ?", seq)


def text(path: Path) -> str:
    async def read() -> str:
        async with SQLiteStore(path, create=False) as store:
            document = Document.load(await store.load("d"))
            return str(document.doc.get("text", type=pycrdt.Text))

    return anyio.run(read)


def log(path: Path) -> list[Entry]:
    async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
        return [entry async for entry in entries]

    async def read() -> list[Entry]:
        async with SQLiteStore(path, create=False) as store:
            return await collect(store.entries("d"))

    return anyio.run(read)


def quarantine(path: Path) -> list[Refused]:
    async def read() -> list[Refused]:
        async with SQLiteStore(path, create=False) as store:
            return [*await store.quarantined("d")]

    return anyio.run(read)


def without(*numbers: int) -> str:
    return "".join(word for number, word in enumerate(WORDS, 1) if number not in numbers)


class TestWholeDocuments:
    @pytest.mark.parametrize("base", [False, True])
    def test_nothing_is_wrong_with_what_collab_writes(self, tmp_path: Path, base: bool) -> None:
        path = tmp_path / "collab.db"
        make(path, base=base)
        found = checked(path)
        assert found.faults == []
        assert (found.seq, found.newest_seq) == (len(WORDS), len(WORDS))
        assert (found.base is not None) is base
        assert found.checkpoint is not None
        assert found.entries == len(WORDS) - (found.base.seq if found.base else 0)
        (blocks,) = execute(path, "SELECT count(*) FROM blocks")
        assert blocks[0] > 0

    def test_entries_that_wait_for_others_are_no_fault(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        first, _, third = typed("a", "b", "c")

        async def write() -> None:
            async with SQLiteStore(path) as store:
                await append(store, [first, third], first=1)
                document = Document.load(await store.load("d"))
                assert document.pending_bytes
                await store.append([Append(document="d", entries=[], checkpoint=document.encode())])

        anyio.run(write)
        assert faults(path) == []

    def test_an_unknown_document_is_none(self, path: Path) -> None:
        with pytest.raises(DocumentNotFound):
            checked(path, "e")


class TestLog:
    def test_a_flipped_byte_in_a_row_is_named_and_mended_from_the_checkpoint_or_left_out(
        self, path: Path
    ) -> None:
        before = log(path)
        flip(path, "updates", "seq = 1250", at=1)
        (fault,) = faults(path)
        assert fault.startswith("entry 1250: does not apply: expected")
        assert mended(path) == 1
        (kept,) = quarantine(path)
        assert (kept.seq, kept.author, kept.time_ms) == (1250, "author 2", 1250 * DAY_MS)
        assert kept.update != before[1249].update
        after = log(path)
        assert [entry.seq for entry in after] == list(range(1, len(WORDS) + 1))
        assert after[1249].update == b"\x00\x00"
        assert after[1249].author == "author 2"
        assert [*after[:1249], *after[1250:]] == [*before[:1249], *before[1250:]]
        # What was typed after it is kept, and comes to light when its author is back.
        assert text(path) == "".join(WORDS[:1249])
        restored = Document()
        for entry in (*after, before[1249]):
            restored.apply(entry.update)
        assert str(restored.doc.get("text", type=pycrdt.Text)) == "".join(WORDS)

    def test_a_deleted_row_is_named_and_its_place_is_kept(self, path: Path) -> None:
        execute(path, "DELETE FROM updates WHERE seq BETWEEN 1260 AND 1262")
        assert faults(path) == ["entries 1260..1262: missing"]
        assert mended(path) == 0
        assert [entry.seq for entry in log(path)] == list(range(1, len(WORDS) + 1))

    def test_deleted_rows_at_the_end_are_named(self, path: Path) -> None:
        execute(path, "DELETE FROM updates WHERE seq > 1290")
        assert faults(path) == ["entries 1291..1300: missing"]
        mended(path)
        assert text(path) == "".join(WORDS[:1290])

    def test_deleted_rows_at_the_end_do_not_keep_compaction_busy_for_ever(self, path: Path) -> None:
        execute(path, "DELETE FROM updates WHERE seq > 1210")
        terms = Terms(now_ms=2000 * DAY_MS, history=KEEP_ALL, quiet_ms=0)

        async def compact() -> None:
            async with SQLiteStore(path) as store:
                with anyio.fail_after(30):
                    while (await store.compact("d", terms)).more:
                        pass

        with pytest.raises(StoreError, match="expected the entries of 'd' up to 1300, got fewer"):
            anyio.run(compact)
        mended(path)
        anyio.run(compact)

    def test_a_count_that_is_wrong_is_mended(self, path: Path) -> None:
        execute(path, "UPDATE documents SET seq = 1299")
        assert faults(path) == ["entry 1300: expected the newest entry to be 1299, got 1300"]
        mended(path)
        execute(path, "UPDATE documents SET seq = 1 << 40")
        (fault,) = faults(path)
        assert fault.endswith("missing")
        mended(path)
        assert text(path) == "".join(WORDS)
        assert execute(path, "SELECT seq FROM documents") == [(1300,)]

    def test_what_the_checkpoint_has_of_a_long_log_that_is_lost_is_kept(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        long = 120_000  # More than are taken for lost where nothing else tells of them.
        (content,) = typed("all of it")
        make_empty(path, checkpoint=content, seq=long)
        mended(path)
        assert text(path) == "all of it"
        entries = log(path)
        assert (len(entries), entries[0].update, entries[-1].seq) == (long, content, long)

    @pytest.mark.parametrize("count", [1 << 40, 1 << 20])
    def test_a_count_that_is_wrong_is_not_cut_below_what_was_lost_at_the_end(
        self, path: Path, count: int
    ) -> None:
        execute(path, "DELETE FROM updates WHERE seq > 1250")
        execute(path, "DELETE FROM blocks WHERE last_seq > 1000")
        execute(path, "UPDATE documents SET seq = ?", count)
        execute(
            path,
            "INSERT INTO versions (document_id, name, seq, created_ms)"
            " SELECT id, 'later', 1260, 1 FROM documents",
        )
        mended(path)
        assert text(path) == "".join(WORDS[:1250])
        assert execute(path, "SELECT seq FROM documents") == [(1260,)]

    def test_a_poisoned_entry_is_found_where_it_first_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"

        async def write() -> None:
            async with SQLiteStore(path) as store:
                updates = [poison.HELLO, poison.CHILD_OF_A_STRING, *typed("!", "?")]
                await append(store, updates, first=1)

        anyio.run(write)
        (fault,) = faults(path)
        assert fault.startswith("entry 2: does not apply: expected an update that applies")
        assert mended(path) == 1
        assert sorted(text(path)) == sorted("hello!?")


class TestBlocks:
    def test_what_a_broken_block_held_comes_back_from_the_checkpoint(self, path: Path) -> None:
        ((first, last),) = execute(path, "SELECT first_seq, last_seq FROM blocks LIMIT 1")
        flip(path, "blocks", f"first_seq = {first}", at=40)
        (fault,) = faults(path)
        assert fault.startswith(f"entries {first}..{last}: cannot be read: expected")
        assert mended(path) == 1
        assert text(path) == "".join(WORDS)
        entries = log(path)
        assert [entry.seq for entry in entries] == list(range(1, len(WORDS) + 1))
        replayed = Document()
        for entry in entries:
            replayed.apply(entry.update)
        assert str(replayed.doc.get("text", type=pycrdt.Text)) == "".join(WORDS)

    def test_a_deleted_block_is_named_and_its_place_is_kept(self, path: Path) -> None:
        ((first, last),) = execute(path, "SELECT first_seq, last_seq FROM blocks LIMIT 1")
        execute(path, "DELETE FROM blocks WHERE first_seq = ?", first)
        assert faults(path) == [f"entries {first}..{last}: missing"]
        mended(path)
        assert text(path) == "".join(WORDS)

    @pytest.mark.parametrize(("base", "place"), [(False, 0), (False, -1), (True, 0)])
    @pytest.mark.parametrize("seq", [7, 1150, 1 << 40])
    @pytest.mark.parametrize("column", ["first_seq", "last_seq"])
    def test_a_block_that_tells_a_wrong_seq_loses_no_entry(
        self, tmp_path: Path, column: str, seq: int, base: bool, place: int
    ) -> None:
        path = tmp_path / "collab.db"
        make(path, base=base)
        before = log(path)
        blocks = "SELECT id, first_seq, last_seq FROM blocks ORDER BY last_seq"
        told = execute(path, blocks)
        row, first, last = told[place]
        execute(path, f"UPDATE blocks SET {column} = ? WHERE id = ?", seq, row)
        wrong = f"{seq}..{last}" if column == "first_seq" else f"{first}..{seq}"
        assert faults(path) == [
            f"entries {first}..{last}: expected a block that tells these seqs, got {wrong}"
        ]
        assert mended(path) == 0
        assert log(path) == before
        assert [seqs for _, *seqs in execute(path, blocks)] == [seqs for _, *seqs in told]

    def test_a_broken_block_that_tells_a_seq_far_away_is_not_filled(self, path: Path) -> None:
        ((row,),) = execute(path, "SELECT id FROM blocks ORDER BY last_seq LIMIT 1")
        flip(path, "blocks", f"id = {row}", at=40)
        execute(path, "UPDATE blocks SET last_seq = 1 << 40 WHERE id = ?", row)
        before = execute(path, "SELECT * FROM updates")
        with pytest.raises(StoreError, match="expected at most 1000000 entries"):
            mended(path)
        assert execute(path, "SELECT * FROM updates") == before

    def test_rows_that_are_in_a_block_too_are_taken_out(self, path: Path) -> None:
        execute(
            path,
            "INSERT INTO updates (document_id, seq, time_ms, payload) SELECT id, 17, 1, X'0000'"
            " FROM documents",
        )
        (fault,) = faults(path)
        assert fault == f"entry 17: expected {PACKED + 1} to follow, got one that was there"
        assert mended(path) == 1
        assert text(path) == "".join(WORDS)


class TestStates:
    def test_a_checkpoint_that_cannot_be_read_is_made_anew(self, path: Path) -> None:
        flip(path, "checkpoints", "1", at=20)
        (fault,) = faults(path)
        assert fault.startswith(f"checkpoint at {PACKED}: does not apply: expected")
        assert mended(path) == 1
        assert text(path) == "".join(WORDS)

    def test_a_checkpoint_that_is_not_what_the_log_gives_is_found_and_the_log_is_right(
        self, path: Path
    ) -> None:
        state = typed("".join(WORDS[:PACKED]).replace("7", "8"))[0]
        execute(path, "UPDATE checkpoints SET form = 0, payload = ?", state)
        (fault,) = faults(path)
        assert "same changes with other content" in fault
        mended(path)
        assert text(path) == "".join(WORDS)
        (kept,) = quarantine(path)
        assert kept.update == state
        assert kept.seq is None

    def test_a_checkpoint_with_less_than_the_log_is_found(self, path: Path) -> None:
        state = typed("".join(WORDS[: PACKED - 1]))[0]
        execute(path, "UPDATE checkpoints SET form = 0, payload = ?", state)
        (fault,) = faults(path)
        assert "the first has changes that the second lacks" in fault
        mended(path)
        assert text(path) == "".join(WORDS)

    def test_a_checkpoint_from_the_future_is_found(self, path: Path) -> None:
        execute(path, "UPDATE checkpoints SET seq = 1400")
        (fault,) = faults(path)
        assert fault == "checkpoint at 1400: expected a seq of 1 to 1300, got 1400"
        mended(path)
        assert text(path) == "".join(WORDS)

    def test_a_base_that_is_lost_comes_back_from_the_checkpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        make(path, base=True)
        flip(path, "bases", "1", at=30)
        (fault,) = faults(path)
        assert fault.startswith("base at ")
        mended(path)
        assert text(path) == "".join(WORDS)

    @pytest.mark.parametrize("seq", [900, 1250, 1 << 40])
    def test_a_base_that_names_an_entry_that_is_there_loses_none(
        self, tmp_path: Path, seq: int
    ) -> None:
        path = tmp_path / "collab.db"
        make(path, base=True)
        before = log(path)
        ((right,),) = execute(path, "SELECT seq FROM bases")
        execute(path, "UPDATE bases SET seq = ?", seq)
        (fault,) = (fault for fault in faults(path) if fault.startswith("base"))
        assert fault == f"base at {right}: expected a seq of at most {right}, got {seq}"
        mended(path)
        assert log(path) == before
        assert text(path) == "".join(WORDS)
        assert quarantine(path) == []

    @pytest.mark.parametrize("seq", [2, 600])
    def test_a_pinned_version_that_does_not_apply_is_found(self, tmp_path: Path, seq: int) -> None:
        path = tmp_path / "collab.db"
        make(path)

        async def pin() -> None:
            async with SQLiteStore(path) as store:
                await store.add_version("d", Version(name="v", seq=seq, created_ms=1, author=None))
                await store.pin_version("d", "v", b"\xff\xff")

        anyio.run(pin)
        (fault,) = faults(path)
        assert fault.startswith(f"version 'v' at {seq}: does not apply")
        assert mended(path) == 1
        assert execute(path, "SELECT seq, payload FROM versions") == [(seq, None)]


class TestEverythingAtOnce:
    @pytest.mark.parametrize("base", [False, True])
    def test_what_applies_is_kept(self, tmp_path: Path, base: bool) -> None:
        path = tmp_path / "collab.db"
        make(path, base=base)
        flip(path, "updates", "seq = 1210", at=1)
        execute(path, "DELETE FROM updates WHERE seq = 1220")
        flip(path, "blocks", "last_seq = (SELECT max(last_seq) FROM blocks)", at=30)
        flip(path, "checkpoints", "1", at=20)
        assert len(checked(path).faults) == 4
        kept = {entry.seq: entry for entry in readable(path)}
        mended(path)
        for entry in log(path):
            assert entry == kept.get(entry.seq, entry)
            assert entry.seq in kept or entry.update == b"\x00\x00"

    def test_a_repair_that_cannot_help_changes_nothing(self, path: Path) -> None:
        execute(path, "UPDATE updates SET seq = seq + (1 << 40) WHERE seq = 1300")
        before = execute(path, "SELECT * FROM updates")
        with pytest.raises(StoreError, match="expected at most 1000000 entries"):
            mended(path)
        assert execute(path, "SELECT * FROM updates") == before


def readable(path: Path) -> list[Entry]:
    """The entries that are there and apply."""
    found = checked(path)
    bad = {refused.seq for refused in found.replay.left_out}
    begin_seq = found.base.seq if found.base is not None else 0
    with closing(connect_reader(path, busy_seconds=1)) as connection:
        return [
            entry
            for stretch in read_stretches(connection, found.id, begin_seq)
            for entry in stretch.entries
            if entry.seq not in bad
        ]


class TestAnyByte:
    @pytest.mark.parametrize("seed", range(25))
    def test_wherever_bits_flip_the_repair_makes_it_whole_or_changes_nothing(
        self, tmp_path: Path, seed: int
    ) -> None:
        path = tmp_path / "collab.db"
        make(path, base=seed % 2 == 0)
        chance = random.Random(seed)
        for _ in range(4):
            table = chance.choice(["updates", "blocks", "checkpoints", "bases"])
            rows = execute(path, f"SELECT rowid, length(payload) FROM {table}")
            if rows:
                row, size = chance.choice(rows)
                flip(path, table, f"rowid = {row}", chance.randrange(size), chance.randint(1, 255))
        kept = {entry.seq: entry for entry in readable(path)}
        before = execute(path, "SELECT seq, payload FROM updates")
        if checked(path).faults:
            try:
                mended(path)
            except StoreError:  # An entry that can be read contradicts the checkpoint.
                assert execute(path, "SELECT seq, payload FROM updates") == before
        for entry in log(path):
            assert entry == kept.get(entry.seq, entry)


class TestFile:
    def test_a_whole_file_has_no_faults(self, path: Path) -> None:
        with closing(connect_reader(path, busy_seconds=1)) as connection:
            assert check_file(connection) == []

    def test_an_overwritten_page_is_found(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2 // 4096 * 4096)
            file.write(b"\xff" * 4096)
        with closing(connect_reader(path, busy_seconds=1)) as connection:
            assert check_file(connection)
