"""Facilities: what all rooms of a server share."""

from dataclasses import dataclass

from collab.server.metrics import Metrics
from collab.server.rooms.admission import Admission
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.long_messages import LongMessages
from collab.server.rooms.persister import Persister
from collab.server.rooms.refusals import Refusals
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.timers import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilities:
    """What all rooms of a server share.

    Attributes:
        settings: bounds and times.
        metrics: where they count.
        timers: what wakes them.
        spawn: runs what outlives its caller.
        persister: where their writes go.
        refusals: where updates go that cannot be taken in.
        admission: who is being brought up to date, over all rooms.
        long_messages: reads what would hold up the others.
        feeds: where programs hear what happens in them.
        vouched: whether it is known who people are, by their ids.
    """

    settings: Settings
    metrics: Metrics
    timers: Timers
    spawn: Spawn
    persister: Persister
    refusals: Refusals
    admission: Admission
    long_messages: LongMessages
    feeds: Feeds
    vouched: bool
