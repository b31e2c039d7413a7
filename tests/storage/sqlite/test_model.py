"""SQLiteStore against the plainest model of a log, with restarts in between."""

import operator
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis.strategies as st
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collab.archive import Terms
from collab.errors import StoreError
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Entry, NewEntry
from tests.storage import appending

NAMES = ["a", "A", "a/b", "a🦄", "\uffee", "é"]
AUTHORS = [None, "ada", "Ada", "🦄"]

new_entries = st.builds(
    NewEntry,
    update=st.binary(max_size=40) | st.integers(900, 9000).map(bytes),
    time_ms=st.integers(-(2**62), 2**62),
    author=st.sampled_from(AUTHORS),
)
appends = st.lists(
    st.builds(
        Append,
        document=st.sampled_from(NAMES),
        entries=st.lists(new_entries, max_size=4)
        | st.builds(operator.mul, st.lists(new_entries, min_size=1, max_size=4), st.just(12)),
        checkpoint=st.none() | st.binary(max_size=10) | st.just(9000).map(bytes),
        base_seq=st.none() | st.integers(0, 8),
    ),
    unique_by=lambda append: append.document,
    max_size=len(NAMES),
)


class Log:
    """What the model knows of one document."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []
        self.base: bytes | None = None  # at seq 0
        self.checkpoint: bytes | None = None
        self.checkpoint_seq = 0
        self.created_ms: int | None = None  # None: by the store's clock


class SQLiteStoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[str, Log] = {}
        self.directory = Path(tempfile.mkdtemp())
        self.leaving = ExitStack()
        self.portal = self.leaving.enter_context(start_blocking_portal())

    @initialize()
    def enter(self) -> None:
        self.store = SQLiteStore(self.directory / "collab.db", synchronous="NORMAL")
        self.portal.call(self.store.__aenter__)

    @rule()
    def reopen(self) -> None:
        self.portal.call(self.store.__aexit__)
        assert [path.name for path in self.directory.iterdir()] == ["collab.db"]
        self.enter()

    @rule(appends=appends)
    def append(self, appends: list[Append]) -> None:
        expected = []
        for append in appends:
            if append.document not in self.logs:
                if not append.entries and append.checkpoint is None:
                    expected.append(0)
                    continue
                log = self.logs[append.document] = Log()
                log.created_ms = append.entries[0].time_ms if append.entries else None
            log = self.logs[append.document]
            fits = append.base_seq is None or append.base_seq == len(log.entries)
            log.entries += append.entries
            if append.checkpoint is not None and fits and not log.entries:
                log.base = append.checkpoint
            elif append.checkpoint is not None and fits:
                log.checkpoint, log.checkpoint_seq = append.checkpoint, len(log.entries)
            expected.append(len(log.entries))
        assert self.portal.call(appending.append, self.store, appends) == expected

    @rule(name=st.sampled_from(NAMES))
    def load(self, name: str) -> None:
        log = self.logs.get(name, Log())
        stored = self.portal.call(self.store.load, name)
        assert stored.seq == len(log.entries)
        state = log.base if log.checkpoint is None else log.checkpoint
        assert (stored.checkpoint, stored.checkpoint_seq) == (state, log.checkpoint_seq)
        assert_same(list(stored.entries), log, log.checkpoint_seq)

    @rule(name=st.sampled_from(NAMES))
    def compact(self, name: str) -> None:
        if name not in self.logs:
            return
        log = self.logs[name]
        try:
            while self.portal.call(self.store.compact, name, Terms(now_ms=0, quiet_ms=0)).more:
                pass
        except StoreError:  # These updates are hardly ever some that can be replayed.
            return
        stored = self.portal.call(self.store.load, name)
        if stored.checkpoint_seq > log.checkpoint_seq:
            log.checkpoint, log.checkpoint_seq = stored.checkpoint, stored.checkpoint_seq

    @rule(name=st.sampled_from(NAMES), after_seq=st.integers(0, 80))
    def stream(self, name: str, after_seq: int) -> None:
        if name in self.logs:
            entries = self.portal.call(collect, self.store.entries(name, after_seq))
            assert_same(entries, self.logs[name], after_seq)

    @rule(prefix=st.sampled_from(["", "a", "a/", "é"]), after=st.sampled_from(["", *NAMES]))
    def page(self, prefix: str, after: str) -> None:
        listed = self.portal.call(self.store.documents, prefix, after, 3)
        names = sorted(name for name in self.logs if name.startswith(prefix) and name > after)
        assert [summary.document for summary in listed] == names[:3]

    @invariant()
    def summaries_agree(self) -> None:
        for summary in self.portal.call(self.store.documents):
            log = self.logs[summary.document]
            size = sum(len(entry.update) for entry in log.entries)
            size += len(log.base or b"") + len(log.checkpoint or b"")
            assert (summary.seq, summary.bytes) == (len(log.entries), size)
            assert log.created_ms in (None, summary.created_ms)
            if log.entries:
                assert summary.updated_ms == log.entries[-1].time_ms

    def teardown(self) -> None:
        self.portal.call(self.store.__aexit__)
        self.leaving.close()
        shutil.rmtree(self.directory)


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


def assert_same(entries: list[Entry], log: Log, after_seq: int) -> None:
    assert entries == [
        Entry(seq=seq, update=entry.update, time_ms=entry.time_ms, author=entry.author)
        for seq, entry in enumerate(log.entries, 1)
        if seq > after_seq
    ]


TestSQLiteStoreMachine = SQLiteStoreMachine.TestCase
TestSQLiteStoreMachine.settings = settings(max_examples=40, stateful_step_count=20)
