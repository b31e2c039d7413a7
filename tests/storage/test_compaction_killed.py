"""Compaction that is killed: every entry is there once, in its row or in its block."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pycrdt
import pytest

from collab.document import Document
from collab.storage.address import open_store
from collab.store import Entry
from tests.postgres import PostgresServer
from tests.storage.compacting_process import typed

pytestmark = pytest.mark.anyio

PROCESS = Path(__file__).with_name("compacting_process.py")
ROUNDS = 40 if os.environ.get("COLLAB_SOAK") == "1" else 3


def run_until_killed(address: str, lines: int) -> int:
    """Runs the process, kills it after some reports, and returns the newest seq it reported."""
    with subprocess.Popen(
        [sys.executable, str(PROCESS), address], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        reported += process.stdout.readlines()
    whole = [line for line in reported if line.endswith("\n")]
    assert len(whole) >= lines
    kept_seq, dropped_seq = map(int, whole[-1].split())
    assert kept_seq == dropped_seq
    return kept_seq


async def check_after_kills(address: str, count_blocks: Callable[[], int]) -> None:
    """Kills a process that packs and drops, again and again, and looks at what is there."""
    draw = random.Random(4)
    dropped = rounds = 0
    # A kill may come before anything was packed or dropped.
    while rounds < ROUNDS or not dropped or not count_blocks():
        rounds += 1
        reported = run_until_killed(address, draw.randrange(2, 12))
        async with open_store(address, create=False) as store:
            entries: list[Entry] = [entry async for entry in store.entries("kept")]
            base = await store.base("dropped")
            rest = [entry.seq async for entry in store.entries("dropped")]
            states = [Document.load(await store.load(name)) for name in ("kept", "dropped")]
        # The kill may have come after a commit and before its report.
        assert len(entries) in (reported, reported + 300)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry.update for entry in entries] == [typed(seq) for seq in range(len(entries))]
        assert rest == list(range(base.seq + 1, len(entries) + 1))
        assert states[0].state_vector == states[1].state_vector
        assert states[0].encode() == states[1].encode()
        assert len(str(states[0].doc.get("text", type=pycrdt.Text))) == len(entries)
        dropped = base.seq


async def test_a_kill_while_packing_and_dropping_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"

    def count_blocks() -> int:
        with closing(sqlite3.connect(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM blocks").fetchone()
            return int(count)

    await check_after_kills(f"sqlite:///{path}", count_blocks)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_kill_while_packing_and_dropping_on_postgres(postgres: PostgresServer) -> None:
    address = postgres.new_database()

    def count_blocks() -> int:
        with psycopg.connect(address) as connection:
            (count,) = connection.execute("SELECT count(*) FROM collab.blocks").fetchone() or (0,)
            return int(count)

    await check_after_kills(address, count_blocks)
