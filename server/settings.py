"""Settings: everything that can be tuned, with its unit, its default and the reason for it."""

import math
from dataclasses import dataclass, fields

from collab.errors import SettingsError
from collab.update import MIN_PART_BYTES

MIB = 1024 * 1024

_KINDS = {bool: "True or False", int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server behaves. Every number must be finite and greater than zero.

    Attributes:
        message_max_bytes: longest message a client may send. 64 MiB: a long offline document comes
            back in one message.
        outbox_max_bytes: what waits for a slow reader before its document frames are replaced by
            one diff. 1 MiB: some seconds of a slow link, and little memory.
        blocked_seconds: how long a reader may take nothing at all before it is closed. 30 s: by
            then its own side has given the socket up.
        uncommitted_max_bytes: what may wait for a failing store, this server's and what others on
            its bus have passed on, before writers are not read from. 64 MiB: minutes of typing, and
            a bound.
        rebuild_seconds: how long requests and programs wait for a document that is being rebuilt,
            as an update broke it and its store cannot be read. 10 s: below what proxies wait.
        heartbeat_seconds: silence after which a peer is probed, and after which it is sent
            something itself. 20 s: clients give up after 30 s of silence.
        dead_seconds: silence after which a peer is dropped. 50 s: two probes unanswered.
        unload_seconds: how long a room stays in memory after its last client left. 10 s: reloads
            and short cuts find it warm.
        window_max_seconds: longest time changes gather before they are passed on. 50 ms: below
            what people notice.
        slow_commit_seconds: how long a commit may take before writers get the others' changes
            without waiting for it. 0.1 s: above it, waiting is felt.
        syncs_in_flight: how many clients are brought up to date at the same time. 64: joins of a
            crowd wait in order instead of filling memory.
        syncs_waiting: how many more may wait for that; others are told to come back (1013).
            10,000: they cost little while they wait.
        part_bytes: a first sync longer than four times this goes out in parts of this size.
            256 KiB: presence and pings go between them also on slow links.
        checkpoint_entries: log entries after which a new checkpoint is due. 200: opening replays
            at most so many after a clean end, and of a huge document some more after a crash.
        checkpoint_seconds: how much time lies between two checkpoints at least. 5 s: of a document
            that a hundred people type in, opening then replays five thousand more after a crash,
            and encoding it does not slow them down.
        connection_documents: how many documents a connection may have open at once, where a dialect
            allows several. 256: more than people have, and a bound.
        unauthenticated_max_bytes: what a client may send before its token was looked at; who sends
            more is told to come back (1013). 1 MiB: what was written meanwhile, and little memory
            for strangers.
        strangers_max_bytes: the same for all clients together; who has sent most of it is told to
            come back (1013). 64 MiB: a crowd of a thousand that comes at once, each with a
            document of thousands of authors.
        fallback_sessions: how many clients may be served without WebSockets. 10,000: at 90 kB each,
            less than a gigabyte.
        resume_seconds: how long such a client keeps its seat while it is cut off. 30 s: a change of
            networks or a slow proxy takes less.
        poll_seconds: how long a poll waits for something to come. 20 s: proxies cut off what takes
            30 s.
        post_seconds: how long the body of a request may take. 120 s: a long offline document on a
            slow link comes in one.
        connection_messages_per_second: how fast a client may send messages; two seconds' worth may
            come at once, and whoever sends faster is read from more slowly. 2,000: a hundred times
            what typing and cursors make.
        connection_bytes_per_second: the same in bytes. 16 MiB: more than most networks carry.
        address_connections: how many connections one address, of IPv6 a /64, may have; more are
            refused (429). 5,000: a proxy whose addresses are not trusted is one address.
        user_connections: how many documents one user may have open, in all connections. 500: tabs
            and devices, and a bound.
        rooms: how many documents may be in memory at once; for others clients are told to come back
            (1013). 50,000: what fits into a few gigabytes where they are short.
        document_max_bytes: how large a document may get, as it is stored; further changes of
            clients and of requests are refused then (507 over HTTP), but for deletions alone.
            Restores, copies, seeds and imported logs may exceed it, and so may the last change
            before. 256 MiB: opening takes seconds already.
        document_clients: how many clients may have written a document; further changes are refused
            then, as by ``document_max_bytes``; and state vectors of so many more than it has
            (1009). 50,000: each editor that was opened and written in is one, and so many make a
            change cost 7 ms.
        pending_max_bytes: what of a document's changes may wait for others that they depend on;
            whoever sends more is closed (4400). 8 MiB: a relay's hiccup, not a flood.
        presence_max_bytes: longest presence state a client may publish. 16 KiB: a name, a color
            and a cursor, a hundred times over.
        viewer_presence: whether those who may only read can show that they are here. True: people
            like to know who watches.
        handshake_seconds: how long a client may take to send its first request, and as long for
            the TLS handshake before it. 10 s: slow links do, idle sockets do not.
        handshake_max_bytes: longest head of a WebSocket handshake. 16 KiB: cookies and tokens.
        trash_seconds: how long deleted documents can be brought back before they are erased. 30
            days: longer than most holidays.
        version_pause_seconds: quiet after which a document that was changed gets a version by
            itself. 600 s: longer than people think, shorter than they are away.
        automatic_versions: how many such versions a document keeps; the oldest make room. 100:
            weeks of pauses, and a list that can be read.
        compaction_seconds: rest between two rounds of compaction over all documents. 300 s: what
            has become old can wait that long.
        compaction_bytes: what compaction may read and write in a second. 2 MiB: a million changes
            in half a minute, and little beside what a disk can do.
        app_message_max_bytes: longest application message. 64 KiB: what people say to each other,
            and no way around documents.
        app_messages_per_second: how fast a client may send application messages; two seconds' worth
            may come at once, and more are refused. 50: a pointer that is shown live.
        happenings_waiting: how many events may wait for a program that follows a document; one that
            reads too slowly has to begin anew. 1,000: some seconds of a busy document.
        moving_seconds: over how long a server that stops sends its clients to the others on its
            bus, each at a moment of its own; few go in less, and without a bus all are told at
            once. 2 s: some thousands of reconnects a second are no storm.
        drain_seconds: how long a shutdown may take to commit and to say goodbye. 4 s: with what the
            store then takes to close, below the 10 s after which supervisors kill.
    """

    message_max_bytes: int = 64 * MIB
    outbox_max_bytes: int = MIB
    blocked_seconds: float = 30.0
    uncommitted_max_bytes: int = 64 * MIB
    rebuild_seconds: float = 10.0
    heartbeat_seconds: float = 20.0
    dead_seconds: float = 50.0
    unload_seconds: float = 10.0
    window_max_seconds: float = 0.05
    slow_commit_seconds: float = 0.1
    syncs_in_flight: int = 64
    syncs_waiting: int = 10_000
    part_bytes: int = 256 * 1024
    checkpoint_entries: int = 200
    checkpoint_seconds: float = 5.0
    connection_documents: int = 256
    unauthenticated_max_bytes: int = MIB
    strangers_max_bytes: int = 64 * MIB
    fallback_sessions: int = 10_000
    resume_seconds: float = 30.0
    poll_seconds: float = 20.0
    post_seconds: float = 120.0
    connection_messages_per_second: int = 2_000
    connection_bytes_per_second: int = 16 * MIB
    address_connections: int = 5_000
    user_connections: int = 500
    rooms: int = 50_000
    document_max_bytes: int = 256 * MIB
    document_clients: int = 50_000
    pending_max_bytes: int = 8 * MIB
    presence_max_bytes: int = 16 * 1024
    viewer_presence: bool = True
    handshake_seconds: float = 10.0
    handshake_max_bytes: int = 16 * 1024
    trash_seconds: float = 30 * 86_400.0
    version_pause_seconds: float = 600.0
    automatic_versions: int = 100
    compaction_seconds: float = 300.0
    compaction_bytes: int = 2 * MIB
    app_message_max_bytes: int = 64 * 1024
    app_messages_per_second: int = 50
    happenings_waiting: int = 1000
    moving_seconds: float = 2.0
    drain_seconds: float = 4.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kind = type(field.default)
            if not _is_a(value, kind):
                raise SettingsError(f"expected {field.name} to be {_KINDS[kind]}, got {value!r}")
            if kind is not bool and not 0 < value < math.inf:
                raise SettingsError(f"expected {field.name} above zero, got {value}")
        if self.part_bytes < MIN_PART_BYTES:
            raise SettingsError(f"expected part_bytes of {MIN_PART_BYTES}, got {self.part_bytes}")
        if self.dead_seconds <= self.heartbeat_seconds:
            raise SettingsError(
                f"expected dead_seconds above heartbeat_seconds ({self.heartbeat_seconds}), "
                f"got {self.dead_seconds}"
            )


def _is_a(value: object, kind: type) -> bool:
    """Whether a value can stand for a setting of this kind; True and False are no numbers."""
    if isinstance(value, bool):
        return kind is bool
    return kind is not bool and isinstance(value, (int, float) if kind is float else int)
