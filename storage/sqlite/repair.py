"""Repair: makes a document in a SQLite store whole again, and loses nothing that can be had.

Every entry that applies stays where it is, with its author and its time. In the place of one that
does not, or is not there, an empty update is put, so that seqs, and the versions that name them,
stay what they were. What the checkpoint knows of what was lost goes into the first such place. What
is taken out goes to the quarantine.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from collab.document import Document
from collab.errors import PoisonedUpdate, StoreError
from collab.protocol.messages import EMPTY_UPDATE
from collab.quarantine import Refused, brief
from collab.storage.compaction import BLOCK_ENTRIES
from collab.storage.compression import Form
from collab.storage.filed import Packed, PackedBlock
from collab.storage.sqlite.archive_rows import insert_block
from collab.storage.sqlite.integrity import Findings, Gap, check_document
from collab.storage.sqlite.quarantine import write_quarantine
from collab.storage.sqlite.stretches import Stretch, read_stretches
from collab.store import Entry

_FILL_MOST = 1_000_000
"""So many missing entries are put in place again; more are a seq that is wrong, not a loss."""

_END_MOST = 100_000
"""So many of them at the end, where nothing but the document's own count tells of them."""


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What a repair takes out and puts in.

    Attributes:
        now_ms: what time it is, milliseconds since the Unix epoch.
        blanks: what stands in a place that is repaired, by seq; in one that is missing and not
            named here, an empty update.
        set_aside: what goes to the quarantine.
    """

    now_ms: int
    blanks: dict[int, bytes] = field(default_factory=dict)
    set_aside: list[Refused] = field(default_factory=list)

    def keep(self, payload: bytes, reason: str, seq: int | None = None) -> None:
        """Sets something aside that is no entry."""
        refused = Refused(
            update=payload, time_ms=self.now_ms, author=None, reason=reason[:200], seq=seq
        )
        self.set_aside.append(refused)


def repair(connection: sqlite3.Connection, findings: Findings, now_ms: int) -> int:
    """Repairs a document.

    Args:
        connection: in a transaction that nobody else writes in, the one ``findings`` are from.
        findings: what is wrong with it.
        now_ms: what time it is, milliseconds since the Unix epoch.

    Returns:
        How much was set aside.

    Raises:
        StoreError: something is still wrong with it; the transaction is to be rolled back.
    """
    plan = _Plan(now_ms=now_ms)
    _leave_out(plan, findings)
    rescued = _rescue(plan, findings)
    _set_states(connection, plan, findings, rescued)
    _rewrite(connection, plan, findings)
    _fill(connection, plan, findings.gaps, findings.id)
    _unpin(connection, plan, findings)
    write_quarantine(connection, findings.document, plan.set_aside)
    _recount(connection, findings)
    left = check_document(connection, findings.document).faults
    if left:
        raise StoreError(
            f"expected {findings.document!r} to be whole after the repair, got: {left[0]}"
        )
    return len(plan.set_aside)


def _leave_out(plan: _Plan, findings: Findings) -> None:
    """Plans blanks for all that does not apply, cannot be read or is missing."""
    for refused in findings.replay.left_out:
        assert refused.seq is not None  # Entries have one.
        plan.blanks[refused.seq] = EMPTY_UPDATE
        plan.set_aside.append(refused)
    for stretch in findings.unreadable:
        _check_number(findings, stretch.first_seq, stretch.last_seq)
        reason = f"entries to {stretch.last_seq} that cannot be read: {stretch.error}"
        plan.keep(stretch.payload, reason, stretch.first_seq)
        for seq in range(stretch.first_seq, stretch.last_seq + 1):
            plan.blanks[seq] = EMPTY_UPDATE
    _shorten(findings)
    for gap in findings.gaps:
        _check_number(findings, gap.first_seq, gap.last_seq)
    for stretch in findings.misplaced:
        reason = f"entries to {stretch.last_seq} that were there already"
        plan.keep(stretch.payload, reason, stretch.first_seq)


def _check_number(findings: Findings, first_seq: int, last_seq: int) -> None:
    if last_seq - first_seq >= _FILL_MOST:
        raise StoreError(
            f"expected at most {_FILL_MOST} entries of {findings.document!r} to be missing, "
            f"got {first_seq} to {last_seq}"
        )


def _shorten(findings: Findings) -> None:
    """Takes the count of entries for wrong where far more are missing at the end than can be.

    Not below what a checkpoint or a version tells of: those entries were there once.
    """
    last = findings.gaps[-1] if findings.gaps else None
    if last is None or last.last_seq != findings.newest_seq:
        return
    if last.last_seq - last.first_seq < _END_MOST:
        return
    known = [seq for seq in findings.version_seqs if seq <= findings.seq]
    checkpoint = findings.checkpoint
    if findings.checkpoint_document is not None and checkpoint is not None:
        known.append(checkpoint.seq)
    findings.gaps.pop()
    findings.newest_seq = max([last.first_seq - 1, *known])
    if findings.newest_seq >= last.first_seq:
        findings.gaps.append(replace(last, last_seq=findings.newest_seq))


def _rescue(plan: _Plan, findings: Findings) -> bytes | None:
    """Finds what the checkpoint knows of what was lost before it, and plans a place for it.

    Where the log is whole up to the checkpoint, the log is right: nothing is taken from it.

    Returns:
        What is to stand in the place of a base that was lost; None where there is no such.
    """
    checkpoint = findings.checkpoint
    rescued = None
    blank = [*plan.blanks, *(gap.first_seq for gap in findings.gaps)]
    places = [seq for seq in blank if checkpoint is not None and seq <= checkpoint.seq]
    if findings.checkpoint_document is not None and (places or not findings.base_applies):
        whole = Document()
        whole.apply(findings.replay.document.encode())
        try:
            rescued = whole.integrate(findings.checkpoint_document.encode())
        except PoisonedUpdate as poisoned:  # They contradict each other.
            assert checkpoint is not None  # It was read.
            plan.keep(checkpoint.payload, f"checkpoint at {checkpoint.seq}: {brief(poisoned)}")
        else:
            findings.replay.document = whole
    if not findings.base_applies:
        return rescued or EMPTY_UPDATE
    if rescued is not None:
        plan.blanks[min(places)] = rescued
    return None


def _set_states(
    connection: sqlite3.Connection, plan: _Plan, findings: Findings, base: bytes | None
) -> None:
    """Sets the base where it was lost, and makes the checkpoint anew."""
    if findings.base is not None:
        connection.execute(
            "UPDATE bases SET seq = ? WHERE document_id = ?", (findings.base.seq, findings.id)
        )
    if findings.base is not None and base is not None:
        plan.keep(findings.base.payload, f"base at {findings.base.seq} that does not apply")
        connection.execute(
            "UPDATE bases SET bytes = ?, form = ?, payload = ? WHERE document_id = ?",
            (len(base), Form.PLAIN, base, findings.id),
        )
    checkpoint = findings.checkpoint
    for fault in findings.faults:
        if fault.part == "checkpoint" and checkpoint is not None:
            plan.keep(checkpoint.payload, f"checkpoint at {checkpoint.seq} that {fault.what}")
    connection.execute("DELETE FROM checkpoints WHERE document_id = ?", (findings.id,))
    if findings.newest_seq > (findings.base.seq if findings.base is not None else 0):
        state = Packed.state(findings.replay.document.encode())
        connection.execute(
            "INSERT INTO checkpoints (document_id, seq, bytes, form, payload)"
            " VALUES (?, ?, ?, ?, ?)",
            (findings.id, findings.newest_seq, state.size, state.form, state.payload),
        )


def _rewrite(connection: sqlite3.Connection, plan: _Plan, findings: Findings) -> None:
    """Takes out what was there twice, puts blanks into blocks and rows, and sets seqs right."""
    begin_seq = findings.base.seq if findings.base is not None else 0
    misplaced = {(stretch.table, stretch.id) for stretch in findings.misplaced}
    for table, row_id in misplaced:
        connection.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))
    touched = [
        stretch
        for stretch in read_stretches(connection, findings.id, begin_seq)
        if stretch.wrong_seqs is not None
        or any(seq in plan.blanks for seq in range(stretch.first_seq, stretch.last_seq + 1))
    ]
    for stretch in touched:
        if stretch.table == "updates":
            connection.execute(
                "UPDATE updates SET payload = ? WHERE id = ?",
                (plan.blanks[stretch.first_seq], stretch.id),
            )
        else:
            connection.execute("DELETE FROM blocks WHERE id = ?", (stretch.id,))
            insert_block(connection, findings.id, PackedBlock.of(_mended(stretch, plan)))


def _mended(stretch: Stretch, plan: _Plan) -> Sequence[Entry]:
    there = {entry.seq: entry for entry in stretch.entries}
    return [
        there[seq]
        if seq in there and seq not in plan.blanks
        else Entry(
            seq=seq,
            update=plan.blanks[seq],
            time_ms=there[seq].time_ms if seq in there else stretch.first_ms,
            author=there[seq].author if seq in there else None,
        )
        for seq in range(stretch.first_seq, stretch.last_seq + 1)
    ]


def _fill(
    connection: sqlite3.Connection, plan: _Plan, gaps: Sequence[Gap], document_id: int
) -> None:
    """Puts blanks where entries are missing: among blocks as a block, after them as rows."""
    (packed_seq,) = connection.execute(
        "SELECT coalesce(max(last_seq), 0) FROM blocks WHERE document_id = ?", (document_id,)
    ).fetchone()
    for gap in gaps:
        entries = (
            Entry(
                seq=seq,
                update=plan.blanks.get(seq, EMPTY_UPDATE),
                time_ms=gap.time_ms,
                author=None,
            )
            for seq in range(gap.first_seq, gap.last_seq + 1)
        )
        if gap.first_seq <= packed_seq:
            while block := list(islice(entries, BLOCK_ENTRIES)):
                insert_block(connection, document_id, PackedBlock.of(block))
            continue
        connection.executemany(
            "INSERT INTO updates (document_id, seq, time_ms, payload) VALUES (?, ?, ?, ?)",
            ((document_id, entry.seq, entry.time_ms, entry.update) for entry in entries),
        )


def _unpin(connection: sqlite3.Connection, plan: _Plan, findings: Findings) -> None:
    """Takes broken pins off versions; those that the log does not lead to are lost."""
    begin_seq = findings.base.seq if findings.base is not None else 0
    for pin in findings.pins:
        plan.keep(pin.payload, f"version at {pin.seq} that does not apply: {pin.error}")
        if pin.seq >= begin_seq:
            connection.execute("UPDATE versions SET payload = NULL WHERE id = ?", (pin.id,))
        else:
            connection.execute("DELETE FROM versions WHERE id = ?", (pin.id,))


def _recount(connection: sqlite3.Connection, findings: Findings) -> None:
    connection.execute(
        "UPDATE documents SET seq = ?1, bytes ="
        " (SELECT coalesce(sum(length(payload)), 0) FROM updates WHERE document_id = ?2)"
        " + (SELECT coalesce(sum(bytes), 0) FROM blocks WHERE document_id = ?2) WHERE id = ?2",
        (findings.newest_seq, findings.id),
    )
