"""Integrity: whether a document in a SQLite store is what the contract says, and what is not.

The log must have every entry once, each must be readable and apply; the checkpoint must be what a
replay up to it gives; base and pinned versions must apply.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from collab.access import check_name
from collab.comparison import difference
from collab.document import Document
from collab.errors import DocumentNotFound, PoisonedUpdate
from collab.quarantine import brief
from collab.replay import Replay
from collab.storage.sqlite.stretches import State, Stretch, read_state, read_stretches
from collab.storage.sqlite.trash_rows import refuse_deleted
from collab.store import Entry

_FILE_FAULTS = 20
"""How many faults of the file itself are named at most: the first one says enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it must be; ``str`` gives it in words.

    Attributes:
        part: ``log``, ``base``, ``checkpoint`` or ``version``.
        first_seq: where it begins.
        last_seq: where it ends, the same for a single place.
        what: what is wrong.
    """

    part: str
    first_seq: int
    last_seq: int
    what: str

    def __str__(self) -> str:
        if self.part != "log":
            return f"{self.part} at {self.first_seq}: {self.what}"
        if self.first_seq == self.last_seq:
            return f"entry {self.first_seq}: {self.what}"
        return f"entries {self.first_seq}..{self.last_seq}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries that are missing.

    Attributes:
        first_seq: the first of them.
        last_seq: the last of them.
        time_ms: when the entry before them was received, milliseconds since the Unix epoch.
    """

    first_seq: int
    last_seq: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A version's pinned content that does not apply.

    Attributes:
        id: its row.
        seq: its seq.
        payload: what is stored.
        error: what is wrong with it.
    """

    id: int
    seq: int
    payload: bytes
    error: str


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found out about a document.

    Attributes:
        document: document name.
        id: its row.
        seq: the seq its row tells.
        newest_seq: seq of the newest entry that is there; that of the base where none is.
        version_seqs: the seqs that versions name.
        entries: how many entries are there.
        base: its base, or None; its seq is set right where entries say that it is wrong.
        checkpoint: its checkpoint, or None.
        replay: what comes out of the log, and which entries do not apply.
        base_applies: whether the base is in ``replay``.
        checkpoint_document: what the checkpoint holds; None where it does not apply.
        gaps: the entries that are missing.
        unreadable: blocks that cannot be read.
        misplaced: what stands at a seq that was there before.
        pins: pinned versions that do not apply.
        faults: all of it in words.
    """

    document: str
    id: int
    seq: int
    newest_seq: int
    version_seqs: Sequence[int]
    base: State | None
    checkpoint: State | None
    entries: int = 0
    replay: Replay = field(default_factory=Replay)
    base_applies: bool = True
    checkpoint_document: Document | None = None
    gaps: list[Gap] = field(default_factory=list)
    unreadable: list[Stretch] = field(default_factory=list)
    misplaced: list[Stretch] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def say(self, part: str, first_seq: int, last_seq: int, what: str) -> None:
        """Adds a fault."""
        self.faults.append(Fault(part=part, first_seq=first_seq, last_seq=last_seq, what=what))


def check_file(connection: sqlite3.Connection) -> list[str]:
    """Has SQLite check a file's own structure; returns what is wrong with it."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_FILE_FAULTS})").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return [str(error)]  # So broken that it cannot even be checked.
    return [] if rows == [("ok",)] else [str(what) for (what,) in rows]


def check_document(connection: sqlite3.Connection, document: str) -> Findings:
    """Checks a document. It reads all of its log, in bounded memory.

    Args:
        connection: in a transaction, so that what it reads belongs together.
        document: document name.

    Raises:
        DocumentNotFound: the store has no such document.
    """
    row = connection.execute(
        "SELECT id, seq, created_ms FROM documents WHERE name = ?", (check_name(document),)
    ).fetchone()
    if row is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    document_id, seq, created_ms = row
    written = read_state(connection, "bases", document_id)
    base = None
    if written is not None:
        base = replace(written, seq=_base_seq(connection, document_id, written.seq, seq))
    findings = Findings(
        document=document,
        id=document_id,
        seq=seq,
        newest_seq=base.seq if base is not None else 0,
        version_seqs=_version_seqs(connection, document_id),
        base=base,
        checkpoint=read_state(connection, "checkpoints", document_id),
    )
    if base is not None and written is not None and base.seq != written.seq:
        what = f"expected a seq of at most {base.seq}, got {written.seq}"
        findings.say("base", base.seq, base.seq, what)
    _begin(findings)
    stretches = read_stretches(connection, document_id, findings.newest_seq)
    log = _Log(findings, stretches, created_ms)
    checkpoint = findings.checkpoint
    if checkpoint is not None:
        findings.replay.take(log.up_to(checkpoint.seq))
        _check_checkpoint(findings, checkpoint)
    findings.replay.take(log.up_to(None))
    log.expect(seq)
    for refused in findings.replay.left_out:
        assert refused.seq is not None  # Entries have one.
        findings.say("log", refused.seq, refused.seq, f"does not apply: {refused.reason}")
    if findings.newest_seq > seq:
        what = f"expected the newest entry to be {seq}, got {findings.newest_seq}"
        findings.say("log", findings.newest_seq, findings.newest_seq, what)
    _check_pins(findings, connection)
    findings.faults.sort(key=lambda fault: (fault.part != "log", fault.first_seq))
    return findings


class _Log:
    """Hands out the entries that are there, each once, and tells what is wrong on the way."""

    def __init__(self, findings: Findings, stretches: Iterator[Stretch], time_ms: int) -> None:
        self._findings = findings
        self._time_ms = time_ms
        self._sound = self._walk(stretches)
        self._ahead: Entry | None = None

    def up_to(self, seq: int | None) -> Iterator[Entry]:
        """The entries from where it stands to one that may be there; None for all."""
        while True:
            entry = self._ahead or next(self._sound, None)
            self._ahead = entry
            if entry is None or (seq is not None and entry.seq > seq):
                return
            self._ahead = None
            self._findings.entries += 1
            yield entry

    def expect(self, seq: int) -> None:
        """Tells that entries are missing where the log has ended before ``seq``."""
        if self._ahead is None and self._findings.newest_seq < seq:
            self._miss(seq)

    def _walk(self, stretches: Iterator[Stretch]) -> Iterator[Entry]:
        findings = self._findings
        for stretch in stretches:
            first_seq, last_seq = stretch.first_seq, stretch.last_seq
            if first_seq <= findings.newest_seq:
                findings.misplaced.append(stretch)
                what = f"expected {findings.newest_seq + 1} to follow, got one that was there"
                findings.say("log", first_seq, last_seq, what)
                continue
            if first_seq > findings.newest_seq + 1:
                self._miss(first_seq - 1)
            findings.newest_seq = last_seq
            if stretch.error is not None:
                findings.unreadable.append(stretch)
                findings.say("log", first_seq, last_seq, f"cannot be read: {stretch.error}")
                continue
            if stretch.wrong_seqs is not None:
                first_told, last_told = stretch.wrong_seqs
                what = f"expected a block that tells these seqs, got {first_told}..{last_told}"
                findings.say("log", first_seq, last_seq, what)
            self._time_ms = stretch.entries[-1].time_ms
            yield from stretch.entries

    def _miss(self, last_seq: int) -> None:
        findings = self._findings
        first_seq = findings.newest_seq + 1
        findings.gaps.append(Gap(first_seq=first_seq, last_seq=last_seq, time_ms=self._time_ms))
        findings.say("log", first_seq, last_seq, "missing")
        findings.newest_seq = last_seq


def _base_seq(connection: sqlite3.Connection, document_id: int, base_seq: int, seq: int) -> int:
    """Where a history begins: nothing before the base is kept, so its seq is not above an entry's.

    Entries that are in the base are replayed over it then, which is harmless.
    """
    first = next(read_stretches(connection, document_id, base_seq), None)
    return min(base_seq, seq if first is None else max(first.first_seq - 1, 0))


def _version_seqs(connection: sqlite3.Connection, document_id: int) -> list[int]:
    rows = connection.execute("SELECT seq FROM versions WHERE document_id = ?", (document_id,))
    return [seq for (seq,) in rows]


def _begin(findings: Findings) -> None:
    """Begins the replay at the base."""
    base = findings.base
    if base is None:
        return
    error = base.error
    if base.update is not None:
        try:
            findings.replay = Replay(base.update)
        except PoisonedUpdate as poisoned:
            error = brief(poisoned)
    if error is not None:
        findings.base_applies = False
        findings.say("base", base.seq, base.seq, f"does not apply: {error}")


def _check_checkpoint(findings: Findings, checkpoint: State) -> None:
    """Compares the checkpoint with the replay up to it."""
    error = checkpoint.error
    if checkpoint.update is not None:
        document = Document()
        try:
            document.apply(checkpoint.update)
            findings.checkpoint_document = document
        except PoisonedUpdate as poisoned:
            error = brief(poisoned)
    begin_seq = findings.base.seq if findings.base is not None else 0
    if error is not None:
        what = f"does not apply: {error}"
    elif not begin_seq < checkpoint.seq <= findings.seq:
        what = f"expected a seq of {begin_seq + 1} to {findings.seq}, got {checkpoint.seq}"
    elif (
        findings.checkpoint_document is None
        or findings.newest_seq < checkpoint.seq
        or findings.faults
        or findings.replay.left_out
    ):
        return  # What it is to be compared with is not whole.
    else:
        differs = difference(findings.replay.document, findings.checkpoint_document)
        if differs is None:
            return
        what = f"is not what the log gives (the first): {differs}"
    findings.say("checkpoint", checkpoint.seq, checkpoint.seq, what)


def _check_pins(findings: Findings, connection: sqlite3.Connection) -> None:
    rows = connection.execute(
        "SELECT id, name, seq, CAST(payload AS BLOB) FROM versions"
        " WHERE document_id = ? AND payload IS NOT NULL",
        (findings.id,),
    )
    for row_id, name, seq, payload in rows:
        try:
            Document().apply(payload)
        except PoisonedUpdate as poisoned:
            error = brief(poisoned)
            findings.pins.append(Pin(id=row_id, seq=seq, payload=payload, error=error))
            findings.say(f"version {name!r}", seq, seq, f"does not apply: {error}")
