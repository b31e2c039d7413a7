"""Codecs: what else is read that strangers, or other instances of a server, have sent."""

import re
from collections.abc import Callable
from typing import TypeVar

from collab import app_messages, lib0, ndjson, relay
from collab.access import check_name
from collab.awareness import read_states
from collab.errors import InvalidName, InvalidQuery, ProtocolError
from collab.event_stream import EventReader, encode_event
from collab.patterns import Pattern
from collab.presence import Elsewhere, Presence
from collab.protocol.fallback import join_frames, read_place, split_frames
from tests.fuzz.pieces import pieces

T = TypeVar("T")


def integers_and_strings(given: bytes) -> None:
    """lib0's values: what is read is what would be written, or as short a form of it."""
    _read_and_write(given, lib0.read_var_uint, lib0.write_var_uint)
    _read_and_write(given, lib0.read_var_bytes, lib0.write_var_bytes)
    _read_and_write(given, lib0.read_var_string, lib0.write_var_string)


def relayed(given: bytes) -> None:
    """Messages between instances: read, written again, and told to a room."""
    room = Presence()
    for number, frame in pieces(given):
        try:
            message = relay.decode(frame)
        except ProtocolError:
            continue
        assert relay.decode(relay.encode(message)) == message
        if isinstance(message, relay.Shown):
            instance = Elsewhere(str(number % 2))
            room.relay(message.clients, instance, 0.0)
            told = room.take()
            assert told is None or len(told) > 1
    for number in range(2):
        room.leave(Elsewhere(str(number)))
    assert len(room) == 0


def presence(given: bytes) -> None:
    """Awareness payloads of several connections, read as clients read what comes of them."""
    room = Presence(256)
    for owner, payload in pieces(given):
        try:
            room.receive(payload, owner % 4, float(owner))
        except ProtocolError:
            room.leave(owner % 4)
        told = room.take()
        if told is not None:
            read_states(told)
    everyone = room.encode()
    if everyone is not None:
        assert len(read_states(everyone)[0]) == len(room)
    for owner in range(4):
        room.leave(owner)
    assert room.encode() is None


def posted_frames(given: bytes) -> None:
    """Bodies of the fallback's POSTs, and the places its readers say they have reached."""
    try:
        frames = split_frames(given)
    except ProtocolError:
        frames = []
    assert split_frames(join_frames(frames)) == frames
    place = read_place(given.decode("latin-1"))
    if place is not None:
        assert read_place(str(place)) == place


def event_streams(given: bytes) -> None:
    """Event streams: the same events, in whatever pieces they come."""
    try:
        events = EventReader().feed(given)
    except ProtocolError:
        return
    reader = EventReader()
    by_bytes = [event for byte in given for event in reader.feed(bytes([byte]))]
    assert by_bytes == events
    for event in events:
        if "\r" not in event.type + event.text + (event.id or ""):
            (again,) = EventReader().feed(encode_event(event))
            assert (again.type, again.text) == (event.type, event.text)


def names(given: bytes) -> None:
    """Document names and patterns over them, beside a regular expression that means the same."""
    parts = [piece.decode(errors="surrogatepass") for piece in _texts(given)]
    if len(parts) < 2:
        return
    pattern, *rest = parts
    expression = re.sub(
        r"\*+|[^*]", lambda found: _meaning(found[0]), pattern[:64], flags=re.DOTALL
    )
    for name in rest:
        try:
            assert check_name(name) == name
        except InvalidName:
            continue
        if pattern.count("*") <= 3:  # With more, the expression is what takes long.
            expected = re.fullmatch(expression, name[:64], re.DOTALL) is not None
            assert Pattern(pattern[:64]).matches(name[:64]) is expected


def messages(given: bytes) -> None:
    """What applications say, and logs as lines of JSON."""
    text = given.decode(errors="replace")
    message = app_messages.read_app_message(text)
    if message is not None:
        assert app_messages.read_app_message(message.encode()) == message
    app_messages.read_answer(text)
    try:
        entries = ndjson.decode_entries(given)
    except InvalidQuery:
        return
    assert ndjson.decode_entries(ndjson.encode_entries(entries)) == entries


def _read_and_write(
    given: bytes, read: Callable[[bytes, int], tuple[T, int]], write: Callable[[T], bytes]
) -> None:
    try:
        value, end = read(given, 0)
    except ProtocolError:
        return
    assert 0 < end <= len(given)
    written = write(value)
    assert len(written) <= end
    assert read(written, 0) == (value, len(written))


def _texts(given: bytes) -> list[bytes]:
    found = []
    for _, piece in pieces(given):
        try:
            piece.decode(errors="surrogatepass")
        except UnicodeDecodeError:
            continue
        found.append(piece)
    return found


def _meaning(part: str) -> str:
    if part == "*":
        return "[^/]*"
    return ".*" if part.startswith("**") else re.escape(part)
