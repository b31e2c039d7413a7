"""Presence: who is here, as y-protocols' awareness tells it, with an owner for each client id.

A client id belongs to the connection that announced it. Clients send on what they hear of others,
so what a connection says of another's client id counts only where it must be that client's own
newer connection: of the same user, with a greater clock, or as the first thing a connection says.
Who somebody is, they cannot choose: where it is known, it is written into what they publish.

Clients of other instances of the server are owned by those (``Elsewhere``), which are believed.

Source of the clock rules: https://github.com/yjs/y-protocols, awareness.js.
"""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from collab.access import ANYONE, Identity
from collab.awareness import GONE, decode_entries, encode_entries, sign
from collab.errors import ProtocolError, TooLarge
from collab.render.values import Json

EXPIRY_SECONDS = 30.0
"""A client that was not heard of for so long is gone; clients renew their state every 15 s."""

_MAX_CLIENTS_OF_OWNER = 100
"""Client ids one connection may announce: one is usual, a relay has some, a flood has many."""

_MAX_STATES = 256
"""Longest states that may come in one message, in bytes together."""

_MAX_GONE = 4096
"""Clocks of departed clients that are remembered, the newest."""


@dataclass(slots=True)
class _Client:
    """One awareness client: its clock, its state as JSON, who owns it, when it was last heard.

    The user is the id of the identity the owner speaks for, or None.
    """

    clock: int
    state: bytes
    owner: Hashable
    user: str | None
    heard_at: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The owner of clients that are connected to another instance of the server.

    Attributes:
        instance: its id.
    """

    instance: str


@dataclass(frozen=True, slots=True)
class Present:
    """One awareness client, as instances tell each other.

    Attributes:
        client_id: awareness client id.
        clock: its clock.
        state: what it published, as JSON; ``null`` where it is gone.
        user: id of the identity it belongs to, or None.
    """

    client_id: int
    clock: int
    state: bytes
    user: str | None


@dataclass(frozen=True, slots=True)
class Objections:
    """What is to be said to news of another instance.

    Attributes:
        unseen: clients that we have seen leave with at least that clock; for the other instance.
        to_owners: owners here whose client the other one took for gone, and a payload for each that
            makes the client announce itself anew.
    """

    unseen: Sequence[Present]
    to_owners: Sequence[tuple[Hashable, bytes]]


class Presence:
    """The awareness states of one room.

    Changes gather until ``take`` encodes them, the latest state of each client once, so that what
    is sent grows with readers and ticks and not with writers times readers.

    Args:
        state_max_bytes: longest state one client may publish, as JSON.
        vouched: whether people are known by their ids, so that nobody else may show one.
    """

    __slots__ = (
        "_changed",
        "_clients",
        "_everyone",
        "_gone",
        "_owned",
        "_state_max_bytes",
        "_vouched",
    )

    def __init__(self, state_max_bytes: int = 1 << 16, *, vouched: bool = False) -> None:
        self._state_max_bytes = state_max_bytes
        self._vouched = vouched
        self._clients: dict[int, _Client] = {}
        self._owned: dict[Hashable, set[int]] = {}
        self._gone: dict[int, int] = {}
        self._changed: dict[int, bool] = {}  # And whether another instance told of it.
        self._everyone: bytes | None = None

    def __len__(self) -> int:
        """How many clients are here."""
        return len(self._clients)

    def receive(
        self,
        payload: bytes,
        owner: Hashable,
        now: float,
        identity: Identity = ANYONE,
        *,
        repeats: bool = False,
    ) -> bytes | None:
        """Takes in what a connection announces.

        Args:
            payload: encoded awareness update.
            owner: the connection.
            now: seconds on a monotonic clock.
            identity: who the connection speaks for. Where it has an id, each state says it: its
                ``user`` gets the identity's id as ``id`` and name (or id again) as ``name``. Where
                it has none, and ids are vouched for, the ``user`` of a state loses its ``id``.
            repeats: whether the connection may only send on what it was told itself. Who
                shows nothing of its own does that first.

        Returns:
            A payload to answer this connection alone with, or None. It tells a client that others
            have seen it leave, so that it announces itself anew with a clock they accept.

        Raises:
            ProtocolError: it is no awareness update, or announces too many clients.
            TooLarge: a state is longer than it may be, or all of them are.
        """
        if len(payload) > self._state_max_bytes * _MAX_STATES:
            raise TooLarge(
                f"expected up to {self._state_max_bytes * _MAX_STATES} bytes, got {len(payload)}"
            )
        entries = decode_entries(payload)
        first = not repeats and owner not in self._owned and len(entries) == 1
        unseen: list[tuple[int, int, bytes]] = []
        for client_id, clock, state in entries:
            if len(state) > self._state_max_bytes:
                raise TooLarge(
                    f"expected a state of up to {self._state_max_bytes} bytes, got {len(state)}"
                )
            known = self._clients.get(client_id)
            if known is None:
                if state == GONE:
                    continue
                gone_at = self._gone.get(client_id)
                if gone_at is not None and clock <= gone_at:
                    unseen.append((client_id, gone_at, GONE))
                    continue
            elif known.owner != owner:
                takes_over = clock > known.clock or (first and clock == known.clock)
                if not takes_over or state == GONE or known.user != identity.id:
                    continue
            elif clock < known.clock or (clock == known.clock and state != GONE):
                known.heard_at = now
                continue
            if state == GONE:
                self._remove(client_id, clock)
            else:
                signed = sign(state, identity, vouched=self._vouched)
                self._put(client_id, _Client(clock, signed, owner, identity.id, now))
            self._changed[client_id] = False
        return encode_entries(unseen) if unseen else None

    def relay(self, clients: Iterable[Present], owner: Elsewhere, now: float) -> Objections:
        """Takes in what another instance tells of its own clients.

        The one a client is connected to knows best: it alone can say that it left. A client that
        moves to another instance is known by a greater clock; where both have it, the one that saw
        it last gets it announced anew.

        Args:
            clients: what it tells.
            owner: the instance.
            now: seconds on a monotonic clock.

        Returns:
            What is to be answered.
        """
        unseen: list[Present] = []
        to_owners: list[tuple[Hashable, bytes]] = []
        for told in clients:
            client_id, clock, state = told.client_id, told.clock, told.state
            known = self._clients.get(client_id)
            here = known is not None and not isinstance(known.owner, Elsewhere)
            if state == GONE:
                if known is None:
                    continue
                if here and clock >= known.clock:
                    to_owners.append((known.owner, encode_entries([(client_id, clock, GONE)])))
                if known.owner != owner:
                    continue
                self._remove(client_id, clock)
            else:
                gone_at = self._gone.get(client_id)
                if known is None and gone_at is not None and clock <= gone_at:
                    unseen.append(Present(client_id, gone_at, GONE, told.user))
                    continue
                if known is not None and (clock < known.clock or (here and clock == known.clock)):
                    continue
                if known is not None and known.owner == owner and clock == known.clock:
                    known.heard_at = now
                    continue
                self._put(client_id, _Client(clock, state, owner, told.user, now))
            self._changed[client_id] = True
        return Objections(unseen, to_owners)

    def own_changes(self) -> list[Present]:
        """Who changed since the last ``take`` and is, or was, connected here."""
        return [self._present(client_id) for client_id, told in self._changed.items() if not told]

    def own(self) -> list[Present]:
        """Everyone who is connected here."""
        return [
            self._present(client_id)
            for client_id, client in self._clients.items()
            if not isinstance(client.owner, Elsewhere)
        ]

    def leave(self, owner: Hashable) -> bytes | None:
        """Removes what a connection owns when it ends.

        Returns:
            The payload that tells the others, or None where it owned nothing.
        """
        return self._remove_all(self._owned.pop(owner, set()))

    def expire(self, now: float) -> bytes | None:
        """Removes clients that were not heard of for ``EXPIRY_SECONDS``.

        Returns:
            The payload that tells the others, or None.
        """
        limit = now - EXPIRY_SECONDS
        return self._remove_all([id_ for id_, c in self._clients.items() if c.heard_at < limit])

    def take(self) -> bytes | None:
        """Encodes what changed since the last call, each client once; None where nothing did."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        return encode_entries([self._entry(client_id) for client_id in changed])

    def take_gone(self) -> bytes | None:
        """Encodes who of those that changed has left; ``take`` tells the others."""
        gone = self._changed.keys() - self._clients.keys()
        if not gone:
            return None
        for client_id in gone:
            del self._changed[client_id]
        return encode_entries([self._entry(client_id) for client_id in gone])

    def encode(self) -> bytes | None:
        """Encodes everyone who is here; None where nobody is."""
        if self._everyone is None and self._clients:
            self._everyone = encode_entries([self._entry(client_id) for client_id in self._clients])
        return self._everyone

    def states(self) -> dict[int, Json]:
        """Everyone who is here: client id to the state it published."""
        return {client_id: json.loads(client.state) for client_id, client in self._clients.items()}

    def _entry(self, client_id: int) -> tuple[int, int, bytes]:
        client = self._clients.get(client_id)
        if client is None:
            return client_id, self._gone.get(client_id, 0), GONE
        return client_id, client.clock, client.state

    def _present(self, client_id: int) -> Present:
        client = self._clients.get(client_id)
        return Present(*self._entry(client_id), None if client is None else client.user)

    def _put(self, client_id: int, client: _Client) -> None:
        known = self._clients.get(client_id)
        if known is None or known.owner != client.owner:
            owned = self._owned.setdefault(client.owner, set())
            if len(owned) >= _MAX_CLIENTS_OF_OWNER and not isinstance(client.owner, Elsewhere):
                raise ProtocolError(
                    f"expected at most {_MAX_CLIENTS_OF_OWNER} awareness clients of a connection"
                )
            if known is not None:
                self._disown(client_id, known.owner)
            owned.add(client_id)
        self._clients[client_id] = client
        self._gone.pop(client_id, None)
        self._everyone = None

    def _disown(self, client_id: int, owner: Hashable) -> None:
        owned = self._owned.get(owner)
        if owned is not None:
            owned.discard(client_id)

    def _remove(self, client_id: int, clock: int) -> None:
        client = self._clients.pop(client_id)
        self._disown(client_id, client.owner)
        self._gone.pop(client_id, None)
        self._gone[client_id] = clock
        if len(self._gone) > _MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._everyone = None

    def _remove_all(self, client_ids: Iterable[int]) -> bytes | None:
        removed = list(client_ids)
        for client_id in removed:
            self._remove(client_id, self._clients[client_id].clock)
            self._changed.pop(client_id, None)
        return (
            encode_entries([self._entry(client_id) for client_id in removed]) if removed else None
        )


def read_gone(payload: bytes) -> list[Present]:
    """Reads what ``Presence`` encodes of clients that left."""
    return [Present(client, clock, state, None) for client, clock, state in decode_entries(payload)]
