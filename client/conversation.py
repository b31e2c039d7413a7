"""Conversation: what applications say to each other in a document, as a client hears it."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import count
from weakref import WeakSet

from collab.app_messages import Answer, AppMessage, read_answer, read_app_message
from collab.client.pulse import Pulse
from collab.errors import CollabError, ConnectionEnded, ServerBusy
from collab.render.values import Json

_WAITING = 1000
"""Messages that wait for a program that reads too slowly, before it is told so."""


class Conversation:
    """The messages of one document.

    Args:
        pulse: beats after something has come, and after the connection has ended.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._numbers = count(1)
        self._answers: dict[str, Answer | None] = {}
        self._listeners: WeakSet[Messages] = WeakSet()

    def compose(self, kind: str, payload: Json, to: str | None) -> AppMessage:
        """Makes a message that the server will answer.

        Raises:
            InvalidMessage: its kind or whom it is for cannot be.
        """
        message_id = str(next(self._numbers))
        message = AppMessage(type=kind, payload=payload, to=to, id=message_id)
        self._answers[message_id] = None
        return message

    async def answer(self, message_id: str) -> int:
        """Waits for the answer to a message; returns how many it was passed on to.

        Raises:
            ServerBusy: the server did not pass it on.
            ConnectionEnded: the connection ended before the answer came.
        """
        try:
            await self._pulse.until(
                lambda: message_id not in self._answers or self._answers[message_id] is not None
            )
            answer = self._answers.get(message_id)
        finally:
            self._answers.pop(message_id, None)
        if answer is None:
            raise ConnectionEnded(None, "it was lost before the message was answered")
        if answer.refusal is not None:
            raise ServerBusy(f"expected a message to be passed on, got: {answer.refusal}")
        return answer.receivers

    def listen(self, ended: Callable[[], bool]) -> "Messages":
        """Hears what others say from here on.

        Args:
            ended: whether nothing more will come; it may raise why.
        """
        messages = Messages(self._pulse, ended)
        self._listeners.add(messages)
        return messages

    def hear(self, text: str) -> None:
        """Takes in what the server passes on."""
        answer = read_answer(text)
        if answer is not None and answer.id in self._answers:
            self._answers[answer.id] = answer
            return
        message = read_app_message(text, of_server=True)
        if message is not None:
            for messages in tuple(self._listeners):
                messages.add(message)

    def interrupt(self) -> None:
        """The connection has ended: what was not answered will not be."""
        for message_id in [each for each, answer in self._answers.items() if answer is None]:
            del self._answers[message_id]


class Messages(AsyncIterator[AppMessage]):
    """What others say, message by message; what is not read in time is an error."""

    def __init__(self, pulse: Pulse, ended: Callable[[], bool]) -> None:
        self._pulse = pulse
        self._ended = ended
        self._waiting: deque[AppMessage] = deque()
        self._failure: CollabError | None = None

    def add(self, message: AppMessage) -> None:
        """Has a message wait for its reader."""
        if len(self._waiting) == _WAITING:
            self._failure = ServerBusy(f"expected at most {_WAITING} messages to wait, got more")
        elif self._failure is None:
            self._waiting.append(message)

    async def __anext__(self) -> AppMessage:
        await self._pulse.until(
            lambda: bool(self._waiting) or self._failure is not None or self._ended()
        )
        if self._waiting:
            return self._waiting.popleft()
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration
