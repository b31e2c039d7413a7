"""Trial: one workload on one fresh cluster."""

from pathlib import Path
from typing import Final

from benchmarks.scale.clusters import Cluster, running
from benchmarks.scale.crossing import Crossing
from benchmarks.trial import put_load

_RUN_SECONDS: Final = 90.0


def measure(
    cluster: Cluster,
    workload: str,
    seconds: float,
    scratch: Path,
) -> Crossing:
    """Puts one workload on a fresh cluster.

    Args:
        cluster: which.
        workload: which.
        seconds: how long is measured.
        scratch: where the servers may put files.

    Raises:
        BenchmarkError: a server, the bus or the load failed.
    """
    with running(cluster, scratch) as together:
        words = [
            *("benchmarks.scale.load", workload),
            *("--bus", str(together.bus_port), "--seconds", str(seconds)),
            *("--dialect", cluster.server.dialect, "--path", cluster.server.path),
        ]
        for instance in together.instances:
            words += ["--port", str(instance.port), "--pid", str(instance.pid)]
        if together.store_pid is not None:
            words += ["--store", str(together.store_pid)]
        return Crossing(**put_load(words, _RUN_SECONDS))
