"""Trial: one workload on one fresh cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.scale.clusters import Cluster, running
from benchmarks.scale.crossing import Crossing
from benchmarks.servers import LOAD_CORE, BenchmarkError

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
        command = [
            *("taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.scale.load"),
            *(workload, "--bus", str(together.bus_port), "--seconds", str(seconds)),
            *("--dialect", cluster.server.dialect, "--path", cluster.server.path),
        ]
        for instance in together.instances:
            command += ["--port", str(instance.port), "--pid", str(instance.pid)]
        if together.store_pid is not None:
            command += ["--store", str(together.store_pid)]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parent.parent.parent,
                capture_output=True,
                text=True,
                timeout=_RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"expected an end within {_RUN_SECONDS:g} s, got none") from None
    if done.returncode:
        raise BenchmarkError(f"expected an outcome, got: {done.stderr.strip()[-500:]}")
    return Crossing(**json.loads(done.stdout))
