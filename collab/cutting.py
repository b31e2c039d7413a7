"""Cutting: a Doc made anew without some pairs, as it takes no other text for what is there.

All of the document is read for it, which takes seconds where it is in a million pieces. So it needs
nothing but what is encoded, and may be done in a worker thread.
"""

from collections.abc import Sequence

import pycrdt

from collab.errors import PoisonedUpdate
from collab.places import Places
from collab.surrogates import replace


class Cutting:
    """Pairs that are to be cut before an update is applied.

    Args:
        doc: an empty Doc.
        whole: the document, encoded; what waits included.
        waiting: what waits in it for its dependencies.
        cut: the pairs.

    Attributes:
        doc: the document with U+FFFD for either half of each pair, once it is carried out.
        waiting: what waits, likewise.
        cut: the pairs.
    """

    __slots__ = ("_whole", "cut", "doc", "waiting")

    def __init__(
        self,
        doc: "pycrdt.Doc[pycrdt.Text]",
        whole: bytes,
        waiting: Sequence[bytes],
        cut: Places,
    ) -> None:
        self.doc = doc
        self.waiting = waiting
        self.cut = cut
        self._whole = whole

    def __len__(self) -> int:
        """How long the document is, in bytes."""
        return len(self._whole)

    def carry_out(self) -> None:
        """Makes the Doc.

        Raises:
            PoisonedUpdate: what the document has encoded does not apply.
        """
        try:
            self.doc.apply_update(replace(self._whole, self.cut))
            self.waiting = [replace(update, self.cut) for update in self.waiting]
        except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
            raise PoisonedUpdate.of(self._whole, error) from None
