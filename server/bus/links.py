"""Links: the connections to all nodes of a deployment, for as long as the bus is joined."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
from redis.crc import key_slot

from collab.server.bus.deployment import FAILURES, Deployment
from collab.server.bus.link import Command, Link

logger = logging.getLogger("collab")

_AGAIN_SECONDS = 0.5
"""Before links are made anew; twice as long each time that they fail soon, up to the next one."""
_AGAIN_MAX_SECONDS = 4.0
_STEADY_SECONDS = 10.0
"""Links that lasted for so long did not fail soon."""
_NOT_YET = "not connected yet"


class Links:
    """Sends commands to the nodes they are for, and hears what is published on any of them.

    Where one fails all of them are made anew, as the deployment is then. What is put meanwhile is
    dropped.

    Args:
        deployment: where the nodes are.
        own: channels that are heard in any case.
        others: gives the other channels that are to be heard, each time links are made.
        take: called with the channel and the payload of what is published.
        linked: called when there are links, and all those channels are heard.
        make_good: called after that with the others, which may have had news meanwhile, and with
            those of ``make_good_later``. It raises what links raise.
        cut_off: called when there are no links any more.

    Attributes:
        failure: why there are none, or None while there are.
    """

    def __init__(
        self,
        deployment: Deployment,
        own: Sequence[str],
        *,
        others: Callable[[], Sequence[str]],
        take: Callable[[str, bytes], None],
        linked: Callable[[], None],
        make_good: Callable[[Sequence[str]], Awaitable[None]],
        cut_off: Callable[[], None],
    ) -> None:
        self.failure: str | None = _NOT_YET
        self._deployment = deployment
        self._own = own
        self._others = others
        self._take = take
        self._when_linked = linked
        self._make_good = make_good
        self._when_cut_off = cut_off
        self._links: Sequence[Link] = ()
        self._linked: anyio.CancelScope | None = None
        self._owed: dict[str, None] = {}
        self._owing = anyio.Event()

    async def run(self, connected: anyio.Event) -> None:
        """Keeps the links up.

        Args:
            connected: set when there are some for the first time.
        """
        wait = _AGAIN_SECONDS
        while True:
            began = anyio.current_time()
            try:
                with anyio.CancelScope() as self._linked:
                    await self._link_all(connected)
            except FAILURES as error:
                self._cut_off(error)
            finally:
                self._links = ()
            if anyio.current_time() - began > _STEADY_SECONDS:
                wait = _AGAIN_SECONDS
            await anyio.sleep(wait)
            wait = min(wait * 2, _AGAIN_MAX_SECONDS)

    def put(self, command: Command) -> None:
        """Has a command sent, after those before it for its channel."""
        if self.failure is None:
            self._link(command.channel).put(command)

    def hear(self, channel: str) -> None:
        """Hears a channel, from when a read that begins after this is done."""
        if self.failure is None:  # Otherwise it is one of the others when links are made.
            self._link(channel).subscribe([channel])

    def make_good_later(self, channel: str) -> None:
        """Has a channel made good once its node answers: nobody waits for that any more."""
        if self.failure is None:  # Otherwise all are, when links are made.
            self._owed[channel] = None
            self._owing.set()

    def unhear(self, channel: str) -> None:
        """Hears a channel no more."""
        if self.failure is None:  # Otherwise it is none of the others when links are made.
            self._link(channel).unsubscribe(channel)

    async def read(
        self, channels: Sequence[str]
    ) -> AsyncIterator[tuple[str, Sequence[tuple[bytes, Mapping[bytes, bytes]]]]]:
        """Reads the streams that have the names of channels.

        Yields:
            Each channel with ids of entries and their fields.

        Raises:
            TimeoutError: that takes too long.
            RedisError: there is no link.
            OSError: likewise.
        """
        for link, some in self._by_link(channels).items():
            for channel, entries in zip(some, await link.read(some), strict=True):
                yield channel, entries

    async def flush(self, last: str) -> None:
        """Returns when everything that was put has arrived, at the node of ``last`` after all else.

        Raises:
            TimeoutError: that takes too long.
        """
        if not self._links:
            return
        latest = self._link(last)
        for link in [*(link for link in self._links if link is not latest), latest]:
            await link.flush()

    def fail(self, error: Exception) -> None:
        """Begins anew, as a link has failed: what was dropped is made good then."""
        self._cut_off(error)
        if self._linked is not None:
            self._linked.cancel()

    def end(self) -> None:
        """Sends nothing any more."""
        self.failure = "left"

    async def _link_all(self, connected: anyio.Event) -> None:
        """Makes a link to each node, and keeps to them until one fails."""
        nodes = await self._deployment.find()
        async with AsyncExitStack() as exits:
            links = [
                Link(
                    node,
                    sharded=self._deployment.sharded,
                    take=self._take,
                    failed=self.fail,
                )
                for node in nodes
            ]
            for link in links:
                await exits.enter_async_context(link)
            self._links = links
            heard = set(self._others())
            for link, channels in self._by_link([*self._own, *heard]).items():
                link.subscribe(channels)
                await link.flush()
            # One may have failed in the turn in which the last has answered.
            await anyio.lowlevel.checkpoint_if_cancelled()
            others = dict.fromkeys(self._others())
            for channel in others.keys() - heard:  # They came meanwhile.
                self._link(channel).subscribe([channel])
            for channel in heard - others.keys():
                self._link(channel).unsubscribe(channel)
            self._owed = others
            if self.failure not in (None, _NOT_YET):
                logger.warning("the bus is there again")
            self.failure = None
            connected.set()
            self._when_linked()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._make_all_good)
                for link in links:
                    tasks.start_soon(link.watch)

    async def _make_all_good(self) -> None:
        """Makes good what channels have missed, for as long as there are links."""
        try:
            while True:
                if not self._owed:
                    self._owing = anyio.Event()
                    await self._owing.wait()
                owed, self._owed = self._owed, {}
                await self._make_good(list(owed))
        except FAILURES as error:
            self.fail(error)

    def _by_link(self, channels: Sequence[str]) -> Mapping[Link, list[str]]:
        by_link: dict[Link, list[str]] = {}
        for channel in channels:
            by_link.setdefault(self._link(channel), []).append(channel)
        return by_link

    def _link(self, channel: str) -> Link:
        if not self._links:
            raise ConnectionResetError("expected a link, got none any more")
        if not self._deployment.sharded:
            return self._links[0]
        slot = key_slot(channel.encode())
        return next(link for link in self._links if any(slot in slots for slots in link.node.slots))

    def _cut_off(self, error: Exception) -> None:
        if self.failure in (None, _NOT_YET):
            logger.error("cut off from the bus: documents are served and stored: %s", error)
        if self.failure is None:
            self._when_cut_off()
        self.failure = str(error) or type(error).__name__
        self._links = ()
