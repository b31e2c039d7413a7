"""A bus on another host: a namespace behind real interfaces, with a delay and a silent cut."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.durability.editor import Crowd, check_account, online, words_on_disk
from tests.durability.servers import ROOM, group, ready, rooms, type_more
from tests.needs import skip_or_fail
from tests.valkey import ValkeyProcess, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Hosts:
    """A host, and two cables from this one to it."""

    def __init__(self, name: str, subnet: int) -> None:
        self.name = name
        self._subnet = subnet

    def far(self, cable: int) -> str:
        """Its address at the end of a cable."""
        return f"10.{self._subnet}.{cable}.2"

    def interface(self, cable: int) -> str:
        """What a cable is plugged into here."""
        return f"{self.name}{cable}"

    def silence(self, cable: int) -> None:
        """Has what goes through a cable arrive nowhere, and tells nobody."""
        run(f"ip netns exec {self.name} ip link set far{cable} down")

    def mend(self, cable: int) -> None:
        """Lets everything through a cable again."""
        run(f"ip netns exec {self.name} ip link set far{cable} up")

    def delay(self, cable: int, milliseconds: int) -> None:
        """Has what goes through a cable arrive late, where the kernel has netem; not all have."""
        with suppress(subprocess.CalledProcessError):
            run(f"tc qdisc replace dev {self.interface(cable)} root netem delay {milliseconds}ms")


@contextmanager
def cabled() -> Iterator[Hosts]:
    """Makes the other host, where the kernel lets us."""
    number = os.getpid() % 200
    hosts = Hosts(f"cb{number}x", number + 20)
    with ExitStack() as exits:
        try:
            run(f"ip netns add {hosts.name}")
            exits.callback(run, f"ip netns delete {hosts.name}")
            for cable in (1, 2):
                here, there = hosts.interface(cable), f"far{cable}"
                run(f"ip link add {here} type veth peer name {there} netns {hosts.name}")
                run(f"ip addr add {hosts.far(cable)[:-1]}1/24 dev {here}")
                run(f"ip link set {here} up")
                inside = f"ip netns exec {hosts.name} ip"
                run(f"{inside} addr add {hosts.far(cable)}/24 dev {there}")
                run(f"{inside} link set {there} up")
            hosts.delay(2, 20)
        except FileNotFoundError:
            skip_or_fail("ip, of iproute2")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"the kernel refuses network namespaces: {error.stderr.decode().strip()}")
        yield hosts


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


async def test_a_server_behind_a_slow_cable_that_goes_silent_serves_and_catches_up(
    store: Path, tmp_path: Path
) -> None:
    ours, theirs = Crowd(2, seed=1), Crowd(2, seed=2, first=2)
    with cabled() as hosts:
        valkey = ValkeyProcess(
            tmp_path,
            ["bind 0.0.0.0", "protected-mode no"],
            host=hosts.far(1),
            under=("ip", "netns", "exec", hosts.name),
        )
        with running(valkey):
            async with group(store) as servers:
                near, far = await servers.start(
                    *(f"valkey://{hosts.far(cable)}:{valkey.port}" for cable in (1, 2))
                )
                async with online(ours, *rooms([near])), online(theirs, *rooms([far])):
                    await type_more(ours)
                    await type_more(theirs)
                    hosts.silence(2)
                    await ready(far, "degraded")
                    await type_more(ours)
                    await type_more(theirs)
                    await ready(near, "ok")
                    hosts.mend(2)
                    await ready(far, "ok")
                    ours.typing = theirs.typing = False
                    everything = {*ours.typed, *theirs.typed}
                    for crowd in (ours, theirs):
                        await crowd.until(
                            lambda crowd=crowd: all(  # type: ignore[misc]  # a closure in a loop
                                set(editor.seen()) == everything for editor in crowd.editors
                            ),
                            "what the others typed",
                        )
    check_account(await words_on_disk(store, ROOM), set(ours.typed) | set(theirs.typed))
