"""Showing: passes presence on in one room."""

import time
from collections.abc import Sequence

from collab.access import Access
from collab.awareness import read_states
from collab.happenings import PresenceChanged
from collab.presence import Elsewhere, Presence, Present, read_gone
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_AWARENESS
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.member import Member
from collab.server.rooms.relay import Relay
from collab.server.rooms.window import Window

_PRESENCE_SECONDS = 0.03
"""How long presence gathers at least: stock clients answer every frame of it with one of theirs."""


class Showing:
    """Who is shown in a room, and to whom. What members publish gathers in a window.

    Args:
        document: document name.
        delivery: the room's.
        facilities: what all rooms share.
        relay: passes presence on to other instances, or None.

    Attributes:
        presence: who is here.
    """

    __slots__ = (
        "_changes",
        "_delivery",
        "_document",
        "_feeds",
        "_relay",
        "_settings",
        "presence",
    )

    def __init__(
        self, document: str, delivery: Delivery, facilities: Facilities, relay: Relay | None
    ) -> None:
        settings = facilities.settings
        self.presence = Presence(settings.presence_max_bytes, vouched=facilities.vouched)
        self._document = document
        self._delivery = delivery
        self._feeds = facilities.feeds
        self._relay = relay
        self._settings = settings
        self._changes = Window(
            facilities.timers,
            settings.window_max_seconds,
            self._flush,
            min_seconds=_PRESENCE_SECONDS,
        )

    # What members show.

    def expect(self) -> None:
        """Somebody has come: who comes says who it is, and crowds come together."""
        self._changes.widen()

    def receive(self, member: Member, payload: bytes) -> None:
        """Takes in what a member publishes, where it may.

        Raises:
            ProtocolError: it is malformed.
        """
        if member not in self._delivery.members:
            return  # It has left while this was deferred.
        if not self.allows(member):
            return
        session = member.session
        answer = self.presence.receive(
            payload,
            member,
            time.monotonic(),
            session.identity,
            # A client says who it is as soon as it is connected, before it answers anything.
            repeats=session.answered,
        )
        if answer is not None:
            member.connection.send(yjs.awareness(answer))
        self._changes.touch()

    def allows(self, member: Member) -> bool:
        """Whether a member may publish its presence."""
        return self._settings.viewer_presence or member.session.access >= Access.WRITE

    def hide(self, member: Member) -> None:
        """Removes what a member published; the others see it go at once."""
        self._remove(self.presence.leave(member))

    def expire(self) -> None:
        """Removes what nobody renewed."""
        self._remove(self.presence.expire(time.monotonic()))

    # What members are shown.

    def everyone(self) -> bytes | None:
        """Who is here, as a frame; None where nobody is."""
        everyone = self.presence.encode()
        return None if everyone is None else yjs.awareness(everyone)

    def answer(self, member: Member) -> None:
        """Sends a member who is here, also where nobody is."""
        member.connection.send(self.everyone() or yjs.awareness(EMPTY_AWARENESS))

    # What other instances show.

    def take(self, clients: Sequence[Present], owner: Elsewhere) -> Sequence[Present]:
        """Takes in presence of clients of another instance.

        Returns:
            Those it is to be told have left, as far as anybody knows here.
        """
        objections = self.presence.relay(clients, owner, time.monotonic())
        for member, payload in objections.to_owners:
            assert isinstance(member, Member)
            member.connection.send(yjs.awareness(payload))
        self._changes.touch()
        return objections.unseen

    def forget_instance(self, instance: str) -> None:
        """Removes the presence of another instance's clients, which is gone."""
        self._send_removal(self.presence.leave(Elsewhere(instance)))

    def _remove(self, removal: bytes | None) -> None:
        self._send_removal(removal)
        if self._relay is not None and removal is not None:
            self._relay.show(read_gone(removal))

    def _send_removal(self, removal: bytes | None) -> None:
        if removal is not None:
            self._delivery.send_all(yjs.awareness(removal))
            self._publish(removal)

    def _publish(self, payload: bytes) -> None:
        if self._feeds.are_followed(self._document):
            self._feeds.publish(self._document, PresenceChanged(*read_states(payload)))

    def _flush(self) -> float | None:
        if self._relay is not None:
            self._relay.show(self.presence.own_changes())
        self._send_removal(self.presence.take_gone())
        payload = self.presence.take()
        if payload is None:
            return None
        self._publish(payload)
        return self._delivery.send_presence(yjs.awareness(payload))
