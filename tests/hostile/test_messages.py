"""Messages that mean harm: whoever sends them is closed, or slowed down; nobody else notices."""

import itertools
import json
import zlib
from collections.abc import Callable, Iterable

import pytest

from collab.close import CloseCode
from collab.lib0 import MAX_UINT, write_var_bytes, write_var_string, write_var_uint
from collab.protocol import yjs
from tests.core.test_nesting import CLIENT, nested
from tests.e2e.serving import Server
from tests.hostile.attacker import PING, PROTOCOL_ERROR, Attacker, frame
from tests.hostile.bystanders import MIB, unharmed

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]

MILLION = 1_000_000
_ROOMS = itertools.count()


def update(*sections: bytes, deletions: bytes = b"\x00") -> bytes:
    return yjs.update(write_var_uint(len(sections)) + b"".join(sections) + deletions)


def text(client: int, clock: int, content: bytes) -> bytes:
    """A section of one string in a root."""
    head = b"\x01" + write_var_uint(client) + write_var_uint(clock)
    return head + b"\x04\x01\x01t" + write_var_bytes(content)


def huge_lengths() -> Iterable[bytes]:
    huge = write_var_uint(MAX_UINT)
    yield b"\x00\x02" + huge
    yield b"\x01" + huge
    yield yjs.awareness(huge)
    yield yjs.awareness(b"\x01\x07\x01" + huge)
    yield yjs.sync_step1(huge)
    yield yjs.update(huge)
    yield yjs.update(b"\x01" + huge + b"\x07\x00")
    yield yjs.update(b"\x01\x01\x07\x00\x04\x01" + huge)
    yield yjs.update(b"\x01\x01\x07\x00\x08\x01\x01t" + huge)
    yield yjs.update(b"\x00" + huge)


def deep_values() -> Iterable[bytes]:
    depth = MILLION
    array = b"[" * depth + b"]" * depth
    yield yjs.awareness(b"\x01\x07\x01" + write_var_bytes(array[:16_000]))
    yield yjs.awareness(b"\x01\x07\x01" + write_var_bytes(array))
    head = b"\x01\x01\x07\x00"
    yield yjs.update(head + b"\x08\x01\x01t\x01" + b"\x75\x01" * depth + b"\x7e\x00")
    yield yjs.update(head + b"\x05\x01\x01t" + write_var_bytes(array) + b"\x00")


def deep_types() -> Iterable[bytes]:
    whole = nested(200_000)
    yield yjs.update(whole[:-1] + b"\x01" + write_var_uint(CLIENT) + b"\x01\x00\x01")


def many_clients() -> Iterable[bytes]:
    sections = (text(client, 0, b"x") for client in range(MILLION, 0, -1))
    yield yjs.update(write_var_uint(MILLION) + b"".join(sections) + b"\x00")


def many_clients_in_a_question() -> Iterable[bytes]:
    clocks = b"".join(write_var_uint(client) + b"\x01" for client in range(MILLION))
    yield yjs.sync_step1(write_var_uint(MILLION) + clocks)


def many_clients_in_presence() -> Iterable[bytes]:
    states = b"".join(write_var_uint(client) + b"\x01\x02{}" for client in range(MILLION))
    yield yjs.awareness(write_var_uint(MILLION) + states)


def late_clocks() -> Iterable[bytes]:
    beyond = b"\x80" * 7 + b"\x10"  # 2**53, which lib0 cannot write.
    for varied in (*map(write_var_uint, (MAX_UINT, MAX_UINT - 3, 2**32 - 2)), beyond):
        yield yjs.update(b"\x01\x01\x07" + varied + b"\x04\x01\x01t\x05hello\x00")
    yield yjs.update(b"\x00\x01\x07\x01" + write_var_uint(2**32 - 2) + b"\x05")


def lost_dependencies() -> Iterable[bytes]:
    """Ten megabytes that wait for something that never comes, in one connection."""
    yield b"".join(frame(update(text(client, 1, b"x" * 50_000))) for client in range(1, 220))


CLOSED: dict[str, tuple[Callable[[], Iterable[bytes]], int, set[int]]] = {
    "huge lengths": (huge_lengths, 16 * MIB, {CloseCode.MALFORMED, CloseCode.TOO_LARGE}),
    "deep values": (deep_values, 64 * MIB, {CloseCode.MALFORMED, CloseCode.TOO_LARGE}),
    "deep types": (deep_types, 384 * MIB, {CloseCode.TOO_LARGE}),
    "a million clients in an update": (many_clients, 128 * MIB, {CloseCode.TOO_LARGE}),
    "a million clients in a question": (
        many_clients_in_a_question,
        64 * MIB,
        {CloseCode.TOO_LARGE},
    ),
    "a million clients in presence": (
        many_clients_in_presence,
        64 * MIB,
        {CloseCode.MALFORMED, CloseCode.TOO_LARGE},
    ),
    "late clocks": (late_clocks, 16 * MIB, {CloseCode.MALFORMED}),
}


@pytest.mark.parametrize("attack", CLOSED)
async def test_who_sends_what_is_made_to_harm_is_closed(server: Server, attack: str) -> None:
    build, memory_bytes, codes = CLOSED[attack]
    messages = list(build())

    def run() -> list[int | None]:
        closes = []
        for message in messages:
            with Attacker(server.port, f"/ws/attacked-{next(_ROOMS)}") as attacker:
                attacker.send_frames(message)
                closes.append(attacker.close_code())
        return closes

    closes = await unharmed(server, memory_bytes, run)
    assert {code for code in closes if code is not None} <= codes, closes


async def test_changes_whose_dependencies_never_come_are_bounded(server: Server) -> None:
    def run() -> int | None:
        with Attacker(server.port, f"/ws/attacked-{next(_ROOMS)}") as attacker:
            attacker.send(*lost_dependencies())
            return attacker.close_code()

    # Some ten copies of it, where all of it came at once: as sent, merged, kept, logged.
    assert await unharmed(server, 192 * MIB, run) in (CloseCode.MALFORMED, None)


def fragments() -> bytes:
    """A message of a hundred thousand fragments, most of them empty."""
    middle = frame(b"", 0, fin=False) * 100_000
    return frame(b"\x03", fin=False) + middle + frame(b"", 0)


def presence_flood() -> bytes:
    def state(clock: int) -> bytes:
        of = write_var_uint(clock % 100) + write_var_uint(clock)
        return of + write_var_string(json.dumps({"cursor": "x" * 1000}))

    return b"".join(frame(yjs.awareness(b"\x01" + state(clock))) for clock in range(1, 20_000))


def ping_flood() -> bytes:
    return frame(b"p" * 125, PING) * 100_000


FLOODS = {"fragments": fragments, "presence": presence_flood, "pings": ping_flood}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_is_read_slowly(native: Server, flood: str) -> None:
    sent = FLOODS[flood]()

    def run() -> None:
        with Attacker(native.port, f"/ws/attacked-{next(_ROOMS)}") as attacker:
            attacker.socket.settimeout(2.0)  # The rest of it waits until the server reads on.
            attacker.send(sent)

    await unharmed(native, 64 * MIB, run)


async def test_a_flood_of_application_messages_is_held_back(server: Server) -> None:
    """The server reads on slowly; it neither closes nor takes in all that there is."""
    room = write_var_string(f"attacked-{next(_ROOMS)}")
    message = frame(room + b"\x05" + write_var_string("x" * 1000))

    def run() -> None:
        with Attacker(server.port, "/hocuspocus") as attacker:
            attacker.send_frames(room + b"\x02\x00\x00")
            attacker.until_answered()  # Until it is known who sends, little may come.
            attacker.socket.settimeout(2.0)
            with pytest.raises(TimeoutError):
                attacker.socket.sendall(message * 60_000)

    await unharmed(server, 64 * MIB, run)


@pytest.mark.parametrize("kept", ["messages", "addresses"])
async def test_who_brings_no_token_has_little_kept(server: Server, kept: str) -> None:
    """A hundred times what is kept before a token was looked at, and addresses of megabytes."""
    if kept == "messages":
        frames = [write_var_string("a") + b"\x01" + write_var_bytes(bytes(MIB // 2))] * 200
    else:
        frames = [write_var_string(f"{n}" * 4 * MIB) + b"\x02\x00\x00" for n in range(10)]

    def run() -> int | None:
        with Attacker(server.port, "/hocuspocus") as attacker:
            attacker.send_frames(*frames)
            return attacker.close_code()

    expected = {CloseCode.TRY_AGAIN_LATER, CloseCode.MALFORMED, None}
    assert await unharmed(server, 64 * MIB, run) in expected


async def test_a_decompression_bomb_is_not_unpacked(server: Server) -> None:
    """Half a gigabyte of zeros in half a megabyte, from somebody who was not allowed to pack."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(512))
    packed += packer.flush(zlib.Z_SYNC_FLUSH)[:-4]

    def run() -> int | None:
        with Attacker(
            server.port, f"/ws/attacked-{next(_ROOMS)}", extensions="permessage-deflate"
        ) as attacker:
            attacker.send(frame(packed, packed=True))
            return attacker.close_code()

    code = await unharmed(server, 64 * MIB, run)
    assert code in (None, PROTOCOL_ERROR, CloseCode.MALFORMED, CloseCode.TOO_LARGE)
