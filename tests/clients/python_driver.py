"""Hosts documents of ``collab.client``: ``driver.mjs``, in Python.

Each line on stdin is a call, {id, on, call, arguments}; each line on stdout its outcome,
{id, result} or {id, error}. ``on`` names a client, as ``open_client`` returns it; null opens one.
"""

import json
import sys
import traceback
from typing import Any

import anyio
import anyio.abc

from tests.clients.python_client import PythonClient


async def _answer(
    hosted: list[PythonClient], tasks: anyio.abc.TaskGroup, request: dict[str, Any]
) -> None:
    outcome: dict[str, Any] = {"id": request["id"]}
    arguments = request["arguments"]
    try:
        if request["on"] is None:
            hosted.append(await tasks.start(lambda **told: PythonClient.run(**arguments, **told)))
            outcome["result"] = len(hosted) - 1
        else:
            client = hosted[request["on"]]
            outcome["result"] = await getattr(client, request["call"])(**arguments)
    except Exception:  # noqa: BLE001 - whatever it is, the caller is told
        outcome["error"] = traceback.format_exc()
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()


async def _host() -> None:
    hosted: list[PythonClient] = []
    async with anyio.create_task_group() as tasks:
        async for line in anyio.wrap_file(sys.stdin):
            tasks.start_soon(_answer, hosted, tasks, json.loads(line))
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(_host)
