"""Gauges: how full the server is, as its metrics say."""

from collab.server.metrics import Metrics
from collab.server.rooms.persister import Persister
from collab.server.rooms.rooms import Rooms


def watch(metrics: Metrics, rooms: Rooms, persister: Persister) -> None:
    """Has the metrics read the gauges whenever somebody asks for them."""
    metrics.watch("collab_rooms", "Documents in memory.", lambda: len(rooms.loaded))
    metrics.watch(
        "collab_members",
        "Clients in rooms.",
        lambda: sum(len(room.members) for room in rooms.loaded),
    )
    metrics.watch(
        "collab_paused_members",
        "Clients that do not read what they are sent fast enough.",
        lambda: sum(member.paused for room in rooms.loaded for member in room.members),
    )
    metrics.watch(
        "collab_syncs_in_flight",
        "Clients that are being brought up to date.",
        lambda: rooms.admission.in_flight,
    )
    metrics.watch(
        "collab_syncs_waiting",
        "Clients that wait for that.",
        lambda: rooms.admission.waiting,
    )
    metrics.watch(
        "collab_uncommitted_bytes",
        "Changes that wait for the store.",
        lambda: persister.backlog.uncommitted_bytes,
    )
    metrics.watch(
        "collab_store_failing",
        "1 while the store does not take changes.",
        lambda: persister.failure is not None,
    )
