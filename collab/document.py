"""Document: a pycrdt Doc, and what a server must know of it that the Doc does not tell.

A Doc hides updates whose dependencies are missing: they are in neither its state vector nor its
encoded state. A Document keeps their bytes until they can be integrated, so that what it encodes is
everything it was given.
"""

from itertools import islice

import pycrdt

from collab import lib0, state_vector
from collab.cutting import Cutting
from collab.delete_set import DeleteSet
from collab.deletions import STRIDE, deletions_within, first_deletions
from collab.errors import BrokenDocument, PairsCut, PoisonedUpdate, ProtocolError, TooLarge
from collab.marks import CHILD, MARKS, PAIR
from collab.merging import merge, unknown_part
from collab.nesting import LOOK_LEVELS, MAX_LEVELS, measure_levels
from collab.pairs import Pairs
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.store import Stored
from collab.structs import find_deletions

_REPLAY_MERGE = 100
"""Log entries merged before they are applied: with more, merging costs more than it saves."""
_PENDING_BYTES = 256
"""What keeping an update that waits costs beside its bytes."""
_LOOKS = 8
"""How many of those that wait each update may have looked at, on average."""


class Document:
    """A Doc with everything it was given, integrated or not.

    After ``apply`` or ``integrate`` raised ``PoisonedUpdate``, the Doc may be broken: drop the
    Document, load another.

    Args:
        keep_deleted: whether deleted content is kept, to be restored; otherwise it is collected.

    Attributes:
        version: how many updates were applied; another number means another state.
        pending_max_bytes: what may wait for its dependencies; None where there is no bound.
        max_new_clients: how many clients that have not written it yet one update may bring; None
            where there is no bound.
        max_cutting_bytes: the longest encoded state that ``apply`` and ``integrate`` make anew to
            cut pairs of it; they raise ``PairsCut`` beyond it. None where there is no bound.
    """

    __slots__ = (
        "_clients",
        "_deleted",
        "_deleted_version",
        "_doc",
        "_encoded",
        "_keep_deleted",
        "_levels",
        "_look_at_pending",
        "_pairs",
        "_pending",
        "_state_vector",
        "max_cutting_bytes",
        "max_new_clients",
        "pending_max_bytes",
        "version",
    )

    def __init__(self, *, keep_deleted: bool = False) -> None:
        self._keep_deleted = keep_deleted
        self._doc = self._empty_doc()
        self._pending: dict[bytes, None] = {}
        self._pairs: Pairs | None = None
        self._look_at_pending = 0
        self._levels = 0
        self.pending_max_bytes: int | None = None
        self.max_new_clients: int | None = None
        self.max_cutting_bytes: int | None = None
        self.version = 0
        self._state_vector: bytes | None = None
        self._clients: int | None = None
        self._encoded: bytes | None = None
        self._deleted: DeleteSet | None = None
        self._deleted_version = 0

    @classmethod
    def load(cls, stored: Stored) -> "Document":
        """Builds the document from its checkpoint and the entries after it.

        Raises:
            BrokenDocument: one of them cannot be applied.
        """
        document = cls()
        if stored.checkpoint is not None:
            try:
                document.apply(stored.checkpoint)
            except PoisonedUpdate as error:
                raise BrokenDocument(
                    f"expected a checkpoint of {stored.document!r} that applies, got: {error}",
                    stored.document,
                ) from error
        entries = iter(stored.entries)
        while group := list(islice(entries, _REPLAY_MERGE)):
            try:
                document.apply(merge([entry.update for entry in group]))
            except PoisonedUpdate as error:
                first, last = group[0].seq, group[-1].seq
                raise BrokenDocument(
                    f"expected {stored.document!r} {first}..{last} to apply, got: {error}",
                    stored.document,
                ) from error
        return document

    @property
    def doc(self) -> "pycrdt.Doc[pycrdt.Text]":
        """The Doc, to read from. Changes go through ``apply``."""
        return self._doc

    @property
    def pending_bytes(self) -> int:
        """Bytes of updates that wait for others they depend on."""
        return sum(map(len, self._pending)) + len(self._pending) * _PENDING_BYTES

    @property
    def state_vector(self) -> bytes:
        """Encoded state vector of what is integrated."""
        if self._state_vector is None:
            self._state_vector = self._doc.get_state()
        return self._state_vector

    @property
    def clients(self) -> int:
        """How many clients have written it."""
        if self._clients is None:
            self._clients = state_vector.count(self.state_vector)
        return self._clients

    def apply(self, update: bytes) -> None:
        """Applies an update; one that depends on others not here yet is kept until they come.

        Raises:
            PoisonedUpdate: the CRDT cannot apply it, and the Document may be broken; or more would
                wait for dependencies than may, types lie inside each other more deeply than may, or
                it brings more new clients than may come at once.
            PairsCut: a long document is to be made anew first; it is as it was.
        """
        marks = update.translate(MARKS)
        if self._pairs is not None or marks.find(PAIR) >= 0:
            update = self._without_cut_pairs(update)
        self._apply(update, marks)

    def _apply(self, update: bytes, marks: bytes) -> None:
        doc = self._doc
        try:
            self.check_new_clients(update)
            added = marks.count(CHILD)
            if self._levels + added > LOOK_LEVELS:
                added = self._measure_levels(update)
            self._levels += added
            with doc.transaction():
                if update[0] == 0 and len(update) >= 2 * STRIDE:  # Many deletions alone.
                    known = state_vector.decode(self.state_vector)
                    for first in first_deletions(update, known, self.pending_bytes):
                        doc.apply_update(first)
                doc.apply_update(update)
                here = doc.get_state()
        except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
            raise PoisonedUpdate.of(update, error) from None
        self.version += 1
        before, self._state_vector = self._state_vector, here
        if here != before:
            self._clients = None
        self._encoded = None
        # Of no pair is half covered: what would be has been replaced as it came.
        rest = pycrdt.get_update(update, here)
        if rest != EMPTY_UPDATE and self._is_waiting(rest):
            self._keep_bounded(rest, update)
        if self._pending and here != before and self.version >= self._look_at_pending:
            self._offer_pending()

    def integrate(self, update: bytes) -> bytes | None:
        """Applies what a peer sent to bring us up to date and tells what of it was new.

        Returns:
            An update with the new part alone, or None where nothing was new.

        Raises:
            PoisonedUpdate: the CRDT cannot apply it, and the Document may be broken.
            PairsCut: a long document is to be made anew first; it is as it was.
        """
        if update == EMPTY_UPDATE:
            return None
        marks = update.translate(MARKS)
        if self._pairs is not None or marks.find(PAIR) >= 0:
            update = self._without_cut_pairs(update)  # The Doc may be another one after it.
        pending_before = set(self._pending)
        news: list[bytes] = []
        subscription = self._doc.observe(lambda event: news.append(event.update))
        try:
            self._apply(update, marks)
        finally:
            self._doc.unobserve(subscription)
        news += [waiting for waiting in self._pending if waiting not in pending_before]
        return merge(news) if news else None

    def diff(self, known: bytes) -> bytes:
        """Encodes what somebody with the state vector ``known`` lacks.

        Raises:
            ProtocolError: ``known`` is no state vector.
        """
        if known == EMPTY_STATE_VECTOR:
            return self.encode()
        state_vector.count(known)  # The CRDT makes room for as many as it declares.
        if self._pairs is not None and self._pairs.are_cut_at(known):
            return unknown_part(self.encode(), known)
        try:
            update = self._doc.get_update(known)
        except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
            poisoned = PoisonedUpdate.of(known, error)
            raise ProtocolError(f"expected a state vector, got: {poisoned}") from None
        return merge([update, *self._pending]) if self._pending else update

    def encode(self) -> bytes:
        """Encodes the whole state as one update, what still waits for its dependencies included."""
        if self._encoded is None:
            update = self._doc.get_update()
            self._encoded = merge([update, *self._pending]) if self._pending else update
        return self._encoded

    def has(self, update: bytes) -> bool:
        """Whether it has everything of an update; of what waits in it deletions alone count.

        What it has deleted is read anew only where what was read before does not say so: nothing
        comes back that was deleted.

        Raises:
            ProtocolError: it is no update.
        """
        if update == EMPTY_UPDATE:
            return True
        rest = unknown_part(update, self.state_vector)
        if rest[0] != 0:
            return False
        if self._deleted is not None and self._deleted.covers(rest):
            return True
        if self._deleted is not None and self._deleted_version == self.version:
            return False
        self._deleted = DeleteSet(self.diff(self.state_vector))
        self._deleted_version = self.version
        return self._deleted.covers(rest)

    def can_delete(self, update: bytes) -> bool:
        """Whether what an update brings anew only deletes, and all of that is here, or was."""
        if update[0] != 0:
            update = unknown_part(update, self.state_vector)
        if update[0] != 0:
            return False
        return not _deletes_beyond(update, state_vector.decode(self.state_vector))

    def deletions_in(self, update: bytes) -> bytes:
        """What an update deletes of what is here, or was, as an update that does nothing else."""
        known = state_vector.decode(self.state_vector)
        deletions = find_deletions(update) if update[0] != 0 else 1
        return deletions_within(b"\x00" + update[deletions:], known)

    def forget_encoding(self) -> None:
        """Frees the encoded state that ``encode`` keeps for its next call."""
        self._encoded = None

    def _empty_doc(self) -> "pycrdt.Doc[pycrdt.Text]":
        # Documents are loaded in worker threads and then used on the event loop's.
        return pycrdt.Doc(allow_multithreading=True, skip_gc=self._keep_deleted)

    def take_over(self, cutting: Cutting) -> None:
        """Goes on with the Doc that was made anew, where nothing was applied meanwhile."""
        assert self._pairs is not None
        self._doc = cutting.doc
        self._pending = dict.fromkeys(cutting.waiting)
        self._pairs.forget(cutting.cut)
        self._encoded = None
        self.version += 1

    def _without_cut_pairs(self, update: bytes) -> bytes:
        """Replaces the pairs that are cut with an update, here and in it, before it is applied."""
        pairs = Pairs() if self._pairs is None else self._pairs
        try:
            taken = pairs.take(update, self.state_vector, self._pending)
            if taken.cut is not None:
                cutting = Cutting(self._empty_doc(), self.encode(), tuple(self._pending), taken.cut)
                most = self.max_cutting_bytes
                if most is not None and len(cutting) > most:
                    raise PairsCut(f"expected at most {most} bytes, got {len(cutting)}", cutting)
                cutting.carry_out()
                self.take_over(cutting)
        except PairsCut:
            raise
        except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
            raise PoisonedUpdate.of(update, error) from None
        pairs.keep(taken)
        self._pairs = pairs or None
        return taken.update

    def _offer_pending(self) -> None:
        """Offers what waits to the CRDT again, which forgets some that nothing is missing for."""
        doc = self._doc
        while True:
            here = self.state_vector
            waiting, self._pending = self._pending, {}
            for earlier in waiting:
                rest = pycrdt.get_update(earlier, here)
                if rest != EMPTY_UPDATE and self._is_waiting(rest):
                    self._pending[rest] = None
            if not self._pending:
                break
            try:
                with doc.transaction():
                    for earlier in self._pending:
                        doc.apply_update(earlier)
                    self._state_vector = doc.get_state()
                self._clients = None
            except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
                raise PoisonedUpdate.of(earlier, error) from None
            if self._state_vector == here:
                break
        # Looked at once in a while, many that wait cost each update a few looks.
        self._look_at_pending = self.version + len(self._pending) // _LOOKS

    def check_new_clients(self, update: bytes) -> None:
        """Refuses an update of too many new clients: each costs every change to come.

        Raises:
            TooLarge: it is one.
        """
        most = self.max_new_clients
        if most is None:
            return
        sections, _ = lib0.read_var_uint(update, 0)
        if sections <= most:
            return
        here = state_vector.decode(self.state_vector)
        new = state_vector.decode(pycrdt.get_state(update)).keys() - here.keys()
        if len(new) > most:
            raise TooLarge(f"expected at most {most} new clients at once, got {len(new)}")

    def _measure_levels(self, update: bytes) -> int:
        """Measures how many levels an update adds; where that may be too many, how many are here.

        Raises:
            TooLarge: with it they would lie too deeply.
        """
        added = measure_levels(update)
        if self._levels + added <= LOOK_LEVELS:
            return added
        self._levels = measure_levels(self.encode())
        if self._levels + added > MAX_LEVELS:
            raise TooLarge(f"expected at most {MAX_LEVELS} types inside each other, got more")
        return added

    def _is_waiting(self, rest: bytes) -> bool:
        """Whether what is left of an update without what is here waits for others."""
        return rest[0] != 0 or _deletes_beyond(rest, state_vector.decode(self.state_vector))

    def _keep_bounded(self, rest: bytes, update: bytes) -> None:
        """Keeps the part of an update that waits for others.

        Raises:
            PoisonedUpdate: too much waits already.
        """
        if rest in self._pending:
            return
        self._pending[rest] = None
        most = self.pending_max_bytes
        if most is not None and self.pending_bytes > most:
            raise PoisonedUpdate(
                f"expected its dependencies, got more than {most} bytes that wait for theirs",
                update,
            )


def _deletes_beyond(update: bytes, clocks: dict[int, int]) -> bool:
    """Whether an update without structs deletes something that is not here yet."""
    clients, position = lib0.read_var_uint(update, 1)
    for _ in range(clients):
        client, position = lib0.read_var_uint(update, position)
        ranges, position = lib0.read_var_uint(update, position)
        known = clocks.get(client, 0)
        for _ in range(ranges):
            clock, position = lib0.read_var_uint(update, position)
            length, position = lib0.read_var_uint(update, position)
            if clock + length > known:
                return True
    return False
