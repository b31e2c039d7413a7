"""Server-sent events: the text that event streams are made of, written and read.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.
"""

from dataclasses import dataclass

from collab.errors import ProtocolError

MEDIA_TYPE = "text/event-stream"

_PADDING_BYTES = 2048
PADDING = b":" + b" " * (_PADDING_BYTES - 3) + b"\n\n"
"""A comment that fills the buffers in which proxies hold back the beginning of an answer."""
SIGN_OF_LIFE = b":\n\n"
"""A comment that says nothing: proxies cut connections on which nothing comes."""

_MAX_LINE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        type: what kind it is; browsers call one without a type "message".
        text: what it says.
        id: where the stream is with it, or None where it tells no new place.
    """

    type: str
    text: str
    id: str | None = None


def encode_event(event: Event) -> bytes:
    """Encodes an event. Its type and its id must be without line breaks."""
    head = f"event: {event.type}\n" if event.type else ""
    if event.id is not None:
        head += f"id: {event.id}\n"
    lines = "".join(f"data: {line}\n" for line in event.text.split("\n"))
    return f"{head}{lines}\n".encode()


class EventReader:
    """Reads an event stream, in whatever pieces it comes.

    Attributes:
        last_id: id of the last event that had one, or None.
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self._rest = bytearray()
        self._searched = 0
        self._type = ""
        self._lines: list[str] = []

    def feed(self, piece: bytes) -> list[Event]:
        """Takes in a piece of the stream.

        Returns:
            The events that end in it.

        Raises:
            ProtocolError: it is not UTF-8, or a line is longer than any of ours.
        """
        self._rest += piece
        events: list[Event] = []
        while (end := self._rest.find(b"\n", self._searched)) >= 0:
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            self._searched = 0
            event = self._read_line(line)
            if event is not None:
                events.append(event)
        self._searched = len(self._rest)
        if self._searched > _MAX_LINE_BYTES:
            raise ProtocolError(f"expected lines of at most {_MAX_LINE_BYTES} bytes, got more")
        return events

    def _read_line(self, line: bytes) -> Event | None:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"expected UTF-8, got byte {error.start} of another") from None
        if not text:
            return self._finish()
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._lines.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None  # A comment, or a field that means nothing to us.

    def _finish(self) -> Event | None:
        kind, self._type = self._type or "message", ""
        lines, self._lines = self._lines, []
        return Event(kind, "\n".join(lines), self.last_id) if lines else None
