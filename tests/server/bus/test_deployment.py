"""Deployments: which addresses a real cluster's nodes are taken to have."""

from collections.abc import Iterator

import pytest
from redis.exceptions import ClusterDownError

from collab.server.bus.deployment import Cluster, Entrance
from tests.valkey import ValkeyProcess, running

pytestmark = pytest.mark.anyio

_SLOTS = 16384


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """A cluster of one node, which does not know its own IP."""
    process = ValkeyProcess(tmp_path_factory.mktemp("cluster"), ["cluster-enabled yes"])
    with running(process):
        process.ask("CLUSTER", "ADDSLOTSRANGE", 0, _SLOTS - 1)
        yield process


def cluster(node: ValkeyProcess) -> Cluster:
    return Cluster(Entrance("redis", "", ""), [(node.host, node.port)])


@pytest.mark.parametrize("endpoint", ["ip", "unknown-endpoint"])
async def test_a_node_that_names_no_host_is_at_the_one_that_it_was_asked_at(
    node: ValkeyProcess, endpoint: str
) -> None:
    node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint)
    (found,) = await cluster(node).find()
    assert found.url == f"redis://{node.address}/0?"
    assert found.slots == [range(_SLOTS)]


async def test_a_node_without_the_name_that_it_should_have_is_at_its_ip(
    node: ValkeyProcess,
) -> None:
    node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
    with pytest.raises(ClusterDownError, match=r"slots 0 to 16383, got '\?'"):
        await cluster(node).find()
    node.ask("CONFIG", "SET", "cluster-announce-ip", "127.0.0.2")
    (found,) = await cluster(node).find()
    assert found.url == f"redis://127.0.0.2:{node.port}/0?"
