"""The parent of workers, with work that does what a test needs, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = """
import itertools, logging, os, signal, sys
from pathlib import Path
from collab.errors import CollabError, SettingsError
from collab.server.cli.workers import Post, Workers

logging.basicConfig(format="%(message)s")
folder = Path(sys.argv[1])

def serve(post):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    (folder / f"{post.number} serves").touch()
    post.ready()
    signal.sigwait([signal.SIGTERM])

def work(post):
    begun = len(list(folder.glob(f"{post.number} began *")))
    (folder / f"{post.number} began {begun}").touch()
    WORK

BEFORE
try:
    Workers(SIZE, work, lambda: print("all serve", flush=True)).run()
except CollabError as error:
    sys.exit(f"refused: {error}")
"""


@contextmanager
def parent(
    folder: Path, work: str, size: int = 2, before: str = ""
) -> Iterator["subprocess.Popen[str]"]:
    """A parent of workers that do ``work``, which knows ``post`` and how often it has ``begun``."""
    program = PROGRAM.replace("BEFORE", before).replace("WORK", work).replace("SIZE", str(size))
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_one_that_dies_again_and_again_is_replaced_and_the_others_serve(tmp_path: Path) -> None:
    dying = "if post.number == 2 and 0 < begun < 4: raise SettingsError(f'expected {begun}')\n"
    dies = "    if post.number == 2 and begun == 0: post.ready(); os.kill(os.getpid(), 9)\n"
    with parent(tmp_path, f"{dying}{dies}    serve(post)") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "all serve\n"
        pauses = []
        for why in ("SIGKILL", "expected 1", "expected 2", "expected 3"):
            line = process.stderr.readline()
            found = re.fullmatch(r"worker 2 died: (.*); another in (\S+) s\n", line)
            assert found is not None, line
            assert found[1] == why
            pauses.append(float(found[2]))
        assert sorted(path.name for path in tmp_path.glob("1 began *")) == ["1 began 0"]
        assert all(pause <= most for pause, most in zip(pauses, (0.5, 1, 2, 4), strict=True))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


WAITS_FOR_THE_DEATH = """
forks = itertools.count(1)

def wait_for_the_death():
    if next(forks) == 2:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

os.register_at_fork(after_in_parent=wait_for_the_death)
"""
"""Holds the parent, when it has started the second worker, until that has died."""


def test_one_that_dies_as_soon_as_it_serves_has_served(tmp_path: Path) -> None:
    dies = "if post.number == 2 and begun == 0: post.ready(); os.kill(os.getpid(), 9)\n"
    with parent(tmp_path, f"{dies}    serve(post)", before=WAITS_FOR_THE_DEATH) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "all serve\n"
        assert process.stderr.readline().startswith("worker 2 died: SIGKILL; another in ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_terminal_that_is_closed_ends_them_in_order(tmp_path: Path, times: int) -> None:
    """The kernel tells all of them, and shells once more."""
    with parent(tmp_path, "serve(post)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "all serve\n"
        for _ in range(times):
            os.killpg(process.pid, signal.SIGHUP)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [1, 2])
def test_where_one_does_not_start_all_end_and_it_is_told_why(tmp_path: Path, number: int) -> None:
    dies = f"if post.number == {number}: raise SettingsError('expected more, got less')\n"
    with parent(tmp_path, f"{dies}    serve(post)", size=3) as process:
        output, errors = process.communicate(timeout=20)
    assert output == ""
    assert errors == f"refused: worker {number} did not start: expected more, got less\n"
    assert process.returncode == 1


def test_the_others_begin_when_the_first_serves(tmp_path: Path) -> None:
    check = "assert post.number == 1 or (folder / '1 serves').exists()\n"
    with parent(tmp_path, f"{check}    serve(post)", size=3) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "all serve\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
