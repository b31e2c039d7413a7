"""Servers at one file find out about each other, whichever was first."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from collab.errors import StoreError
from collab.storage.sqlite.neighbours import Neighbours


def serve_and_tell(path: Path, told: Connection) -> None:
    with Neighbours(path) as neighbours:
        told.send(neighbours.look())
        told.recv()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


def test_one_alone_has_none_and_leaves_nothing(store: Path) -> None:
    with Neighbours(store) as only:
        assert [only.look(), only.look()] == [False, False]
    assert list(store.parent.iterdir()) == []


def test_both_find_out_until_one_leaves(store: Path) -> None:
    with Neighbours(store) as first:
        assert not first.look()
        with Neighbours(store) as second:
            assert second.look()
            assert first.look()
        assert not first.look()
    assert list(store.parent.iterdir()) == []


def test_who_came_later_has_none_once_the_first_has_left(store: Path) -> None:
    with Neighbours(store) as later:
        with Neighbours(store) as first:
            assert not first.look()
            assert later.look()
        assert not later.look()
        with Neighbours(store) as another:
            assert another.look()
            assert later.look()


def test_of_three_each_finds_out_whoever_leaves(store: Path) -> None:
    with Neighbours(store) as first, Neighbours(store) as third:
        with Neighbours(store) as second:
            assert [first.look(), second.look(), third.look()] == [False, True, True]
            assert first.look()
        assert third.look()
        assert first.look()


def test_a_link_to_the_file_leads_to_the_same_neighbours(store: Path) -> None:
    link = store.with_name("link.db")
    link.symlink_to(store)
    with Neighbours(store) as here, Neighbours(link) as there:
        assert not here.look()
        assert there.look()


def test_one_that_was_killed_is_no_neighbour(store: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(
        target=serve_and_tell, args=(store, theirs)
    )
    other.start()
    assert ours.poll(30)
    assert ours.recv() is False
    with Neighbours(store) as left:
        assert left.look()
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        other.join(30)
        assert not left.look()
    assert list(store.parent.iterdir()) == []


def test_where_no_file_can_be_locked_that_is_said(store: Path) -> None:
    with (
        Neighbours(store.parent / "missing" / "collab.db") as neighbours,
        pytest.raises(StoreError, match=r"expected to lock .*db-serving, got: No such file"),
    ):
        neighbours.look()
