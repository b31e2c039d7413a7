"""Messaging: passes application messages on in one room, within bounds."""

import time
from dataclasses import replace

from collab.app_messages import AppMessage, acknowledgement, read_app_message, refusal
from collab.happenings import Said
from collab.server.limits.pace import Pace
from collab.server.metrics import Metrics
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.member import Member
from collab.server.rooms.relay import Relay
from collab.server.settings import Settings


class Messaging:
    """Who hears what is said in a room. Nothing of it is stored, and who is not there misses it.

    Args:
        document: document name.
        delivery: the room's.
        feeds: where programs hear it.
        settings: the bounds.
        metrics: where refusals are counted.
        relay: passes messages on to other instances, or None.
    """

    def __init__(
        self,
        document: str,
        delivery: Delivery,
        feeds: Feeds,
        settings: Settings,
        metrics: Metrics,
        relay: Relay | None,
    ) -> None:
        self._document = document
        self._delivery = delivery
        self._feeds = feeds
        self._settings = settings
        self._metrics = metrics
        self._relay = relay

    def receive(self, member: Member, text: str) -> None:
        """Passes on what a member says, and acknowledges it where that is asked for."""
        most = self._settings.app_message_max_bytes
        if len(text) > most or len(text.encode()) > most:
            self._metrics.count_limit("app_message_max_bytes")
            self._answer(member, refusal(None, f"expected a message of {most} bytes, got more"))
            return
        message = read_app_message(text, of_server=True)  # To see who it claims to be from.
        if member.pace is None:
            member.pace = Pace(self._settings.app_messages_per_second)
        if not member.pace.allows(time.monotonic()):
            self._metrics.count_limit("app_messages_per_second")
            if message is not None and message.id is not None:
                self._answer(member, refusal(message.id, "expected fewer messages a second"))
            return
        if message is None:
            self._delivery.send_stateless(text, source=member)
            if self._relay is not None:
                self._relay.tell(text, None, None)
            return
        claimed, sender = message.sender, member.session.identity.id
        message = replace(message, sender=sender)
        if claimed is not None or sender is not None:
            text = message.encode()  # Says who it is from, if anybody, whatever the text said.
        receivers = self._pass_on(message, text, member)
        if message.id is not None:
            self._answer(member, acknowledgement(message.id, receivers))

    def say(self, message: AppMessage, source: Member | None = None) -> int:
        """Passes on what the program says that this server is part of.

        Args:
            message: the message, with its sender.
            source: the member that says it; it does not hear itself.

        Returns:
            How many connections and programs it was passed on to.

        Raises:
            InvalidMessage: it is no JSON, or too long.
        """
        text = message.encode(self._settings.app_message_max_bytes)
        return self._pass_on(message, text, source)

    def hear(self, text: str, to: str | None, sender: str | None) -> int:
        """Passes on what was said on another instance, which has checked it.

        Returns:
            How many connections and programs it was passed on to.
        """
        receivers = self._delivery.send_stateless(text, to=to)
        message = read_app_message(text)
        if message is None:
            return receivers
        said = Said(replace(message, sender=sender))
        return receivers + self._feeds.publish(self._document, said)

    def _pass_on(self, message: AppMessage, text: str, source: Member | None) -> int:
        receivers = self._delivery.send_stateless(text, source=source, to=message.to)
        if self._relay is not None:
            self._relay.tell(text, message.to, message.sender)
        return receivers + self._feeds.publish(self._document, Said(message, source))

    def _answer(self, member: Member, text: str) -> None:
        frame = member.session.dialect.stateless(text)
        if frame is not None:
            member.connection.send(frame)
