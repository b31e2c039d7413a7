"""Hearing: what other instances have published, read and passed on to who hears the bus.

How it is written stands in ``collab.server.bus.valkey``.
"""

import logging
import time
from collections.abc import Mapping

from collab import lib0
from collab.errors import ProtocolError
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.bus.bus import Receiver
from collab.server.bus.channels import Channels
from collab.server.bus.instances import Instances
from collab.server.bus.marks import Mark, decode_mark
from collab.server.bus.numbers import Numbers
from collab.server.bus.questions import Questions
from collab.server.bus.telling import Telling

logger = logging.getLogger("collab")


class Hearing:
    """Takes in what comes on the channels of one instance.

    Args:
        instance: id of this instance, which hears itself as well.
        channels: their names.
        subscribed: the documents that are heard of.
        instances: who is there.
        questions: which marks are awaited.
        telling: answers the questions of others.

    Attributes:
        receiver: who hears it; set before anything comes.
    """

    receiver: Receiver

    def __init__(
        self,
        instance: str,
        channels: Channels,
        subscribed: Mapping[str, Numbers],
        *,
        instances: Instances,
        questions: Questions,
        telling: Telling,
    ) -> None:
        self._instance = instance
        self._channels = channels
        self._subscribed = subscribed
        self._instances = instances
        self._questions = questions
        self._telling = telling

    def linked(self) -> None:
        """From now on something comes; what was heard last is not what was said last."""
        for subscription in self._subscribed.values():
            subscription.forget()
            subscription.keep_again()
        self._instances.spare(time.monotonic())
        self.receiver.returned()

    def cut_off(self) -> None:
        """Nothing comes until ``linked``."""
        self.receiver.cut_off()

    def take(self, channel: str, payload: bytes) -> None:
        """Takes in what was published on a channel."""
        channels = self._channels
        try:
            if channel == channels.everyone:
                self._take_announced(payload)
            elif channel.startswith(channels.private):
                self._take_private(payload)
            else:
                self._take_news(channel.removeprefix(channels.shared), payload)
        except (ValueError, ProtocolError):
            logger.error("expected what an instance publishes on %s, got %r", channel, payload)

    def take_change(self, document: str, update: bytes, instance: str, number: int | None) -> None:
        """Passes on a change, whether it was just published or kept since; see ``Receiver``."""
        if instance != self._instance and document in self._subscribed:
            self._instances.hear_of(instance, time.monotonic())
            self.receiver.changed(document, update, instance, number)

    def miss(self, document: str) -> None:
        """Something of a document may have been missed, in either direction."""
        if document in self._subscribed:
            self.receiver.missed(document)

    def _take_announced(self, payload: bytes) -> None:
        kind, _, rest = payload.partition(b" ")
        name, _, frame = rest.partition(b" ")
        instance = name.decode()
        if instance == self._instance:
            return
        if kind == b"said":
            self.receiver.announced(frame, instance)
        elif kind == b"left":
            self._instances.forget(instance)
            self._questions.forget_instance(instance)
            self.receiver.left(instance)
        elif kind == b"alive":
            self._instances.hear(instance, time.monotonic())
        else:
            raise ValueError(kind)

    def _take_private(self, payload: bytes) -> None:
        kind, sender, rest = payload.split(b" ", 2)
        instance = sender.decode()
        self._instances.hear(instance, time.monotonic())
        if kind == b"w":
            self._take_questions(rest, instance)
        elif kind == b"m":
            position = 0
            while position < len(rest):
                document, position = lib0.read_var_string(rest, position)
                mark, position = lib0.read_var_bytes(rest, position)
                subscription = self._subscribed.get(document)
                if subscription is not None:
                    self._take_mark(document, subscription, mark, instance)
        else:
            document, position = lib0.read_var_string(rest, 0)
            self._take_frame(document, rest[position:], instance)

    def _take_questions(self, rest: bytes, instance: str) -> None:
        position = 0
        while position < len(rest):
            document, position = lib0.read_var_string(rest, position)
            number, position = lib0.read_var_uint(rest, position)
            subscription = self._subscribed.get(document)
            if subscription is None:  # Closed, after its last commit.
                self._telling.tell(instance, document, Mark(number, number))
            elif subscription.reaches(number):
                self._telling.tell(instance, document, subscription.mark(number))
            else:
                subscription.askers[instance] = number

    def _take_news(self, document: str, payload: bytes) -> None:
        subscription = self._subscribed.get(document)
        if subscription is None:
            return
        if payload.startswith(b"f "):
            _, sender, frame = payload.split(b" ", 2)
            self._instances.hear(sender.decode(), time.monotonic())
            self._take_frame(document, frame, sender.decode())
            return
        kind, digits, sender, update = payload.split(b" ", 3)
        instance = sender.decode()
        if instance == self._instance:
            return
        self._instances.hear(instance, time.monotonic())
        number = int(digits)
        mark = kind[2:] if kind.startswith(b"u:") else None
        if subscription.restarts(instance, number):
            self._questions.forget(document, instance)
            self.receiver.reopened(document, instance)
        if not subscription.follows(instance, number):
            self.miss(document)
        if update != EMPTY_UPDATE:
            self.take_change(document, update, instance, None if mark is None else number)
            subscription.note_writer(instance)
        if mark is not None and not subscription.is_known(instance, mark):
            self._take_mark(document, subscription, mark, instance)

    def _take_frame(self, document: str, frame: bytes, instance: str) -> None:
        if instance != self._instance and document in self._subscribed:
            self._instances.hear_of(instance, time.monotonic())
            self.receiver.heard(document, frame, instance)

    def _take_mark(
        self, document: str, subscription: Numbers, encoded: bytes, instance: str
    ) -> None:
        mark = decode_mark(encoded)
        if subscription.knows(instance, mark):
            subscription.note_mark(instance, encoded)
        else:
            mark = Mark(mark.durable, mark.durable)
        self._questions.answer(document, instance, mark.durable)
        self.receiver.marked(document, mark, instance)
