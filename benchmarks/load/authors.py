"""Authors and what they write, made before any clock starts."""

import json
import random
from typing import Final

from pycrdt import Doc, Text, TransactionEvent

ROOT: Final = "codemirror"
"""Name of the text that y-codemirror edits in its examples."""

_FIRST_CLIENT: Final = 1_000_000_007
_STRIDE: Final = 7919


class Author:
    """Somebody who types: real updates of a real document, one for each change.

    Attributes:
        client: Yjs client id, of the size that Yjs draws.
        clock: how many changes were made.
    """

    def __init__(self, number: int) -> None:
        self.client: Final = self.id(number)
        self.clock = 0
        self._doc: Doc[Text] = Doc(client_id=self.client)
        self._text = self._doc.get(ROOT, type=Text)
        self._updates: list[bytes] = []
        self._subscription = self._doc.observe(self._keep)

    @staticmethod
    def id(number: int) -> int:
        """Returns the Yjs client id of somebody, author or reader."""
        return _FIRST_CLIENT + number * _STRIDE

    def _keep(self, event: TransactionEvent) -> None:
        self._updates.append(event.update)

    def type(self, characters: int) -> list[bytes]:
        """Types letters one by one at the end.

        Returns:
            One update for each.
        """
        self._updates = []
        for _ in range(characters):
            self._text.insert(self.clock, chr(97 + self.clock % 26))
            self.clock += 1
        return self._updates

    def whole(self) -> bytes:
        """Returns the whole document."""
        return self._doc.get_update()

    def read(self, update: bytes) -> None:
        """Takes in what others wrote."""
        self._doc.apply_update(update)

    def prepend(self, paragraphs: int, characters: int) -> bytes:
        """Writes paragraphs, each before all else, so that each stays an item of its own.

        Returns:
            One update with all of them.
        """
        before = self._doc.get_state()
        for number in range(paragraphs):
            line = f"{number:09d} " * (characters // 10)
            self._text.insert(0, line)
            self.clock += len(line)
        return self._doc.get_update(before)


def presence_states(client: int, count: int) -> list[tuple[int, int, str]]:
    """Makes the presence of somebody who moves the cursor, as y-codemirror publishes it.

    Args:
        client: Yjs client id.
        count: how many states, with clocks 1 to count.

    Returns:
        (client, clock, JSON) for each.
    """
    draw = random.Random(client)
    user = {"name": f"Writer {client % 1000}", "color": "#30bced", "colorLight": "#30bced33"}
    states = []
    for clock in range(1, count + 1):
        at = {
            "type": None,
            "tname": ROOT,
            "item": {"client": client, "clock": draw.randrange(9999)},
            "assoc": 0,
        }
        cursor = {"anchor": at, "head": at}
        states.append(
            (client, clock, json.dumps({"user": user, "cursor": cursor}, separators=(",", ":")))
        )
    return states
