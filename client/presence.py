"""PresenceView: who is here as a client sees it, and what it shows of itself.

The server decides who is here. Source of the clock rules: https://github.com/yjs/y-protocols,
awareness.js.
"""

import json

from collab.awareness import GONE, decode_entries, encode_entries
from collab.errors import InvalidMessage
from collab.protocol.messages import EMPTY_AWARENESS
from collab.render.values import Json

RENEWAL_SECONDS = 15.0
"""Others forget who was not heard of for 30 s."""


class PresenceView:
    """The awareness states that a client knows of.

    Args:
        client_id: its own Yjs client id.
    """

    __slots__ = ("_client_id", "_clock", "_others", "_own")

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._clock = 0
        self._own: bytes | None = None
        self._others: dict[int, Json] = {}

    def states(self) -> dict[int, Json]:
        """Everyone who is here, oneself included: client id to the state it published."""
        own = {} if self._own is None else {self._client_id: json.loads(self._own)}
        return own | self._others

    def show(self, state: dict[str, Json] | None) -> bytes:
        """Publishes a state of one's own; None takes it back.

        Returns:
            The payload that says so.

        Raises:
            InvalidMessage: the state is no JSON.
        """
        if state is None:
            self._own = None
        else:
            try:
                text = json.dumps(state, allow_nan=False, separators=(",", ":"))
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidMessage(f"expected a state that is JSON, got: {error}") from None
            self._own = text.encode()
        return self._announce()

    def renew(self) -> bytes:
        """Says again what is shown; nothing about anybody where that is nothing."""
        return EMPTY_AWARENESS if self._own is None else self._announce()

    def receive(self, payload: bytes) -> bytes | None:
        """Takes in what the server says.

        Returns:
            A payload to answer with, or None. Who is told to be gone and is not says so.

        Raises:
            ProtocolError: it is no awareness update.
        """
        answer = None
        for client_id, clock, state in decode_entries(payload):
            if client_id != self._client_id:
                if state == GONE:
                    self._others.pop(client_id, None)
                else:
                    self._others[client_id] = json.loads(state)
            elif state == GONE and self._own is not None:
                self._clock = max(self._clock, clock)
                answer = self._announce()
        return answer

    def forget_others(self) -> None:
        """The connection ended: nobody knows who is here."""
        self._others.clear()

    def _announce(self) -> bytes:
        self._clock += 1
        state = GONE if self._own is None else self._own
        return encode_entries([(self._client_id, self._clock, state)])
