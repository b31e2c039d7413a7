"""Pairs: characters of two UTF-16 units, cut anywhere, and documents that show what Yjs shows."""

import base64
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.checking import check_update
from collab.document import Document
from collab.history.attribution import Deliveries, attribute
from collab.history.restore import Restoration
from collab.merging import merge
from collab.replay import Replay
from collab.state_vector import decode
from collab.store import Entry, Stored
from tests.clients.driver import Driver
from tests.clients.host import Host, run
from tests.e2e.serving import export, serve

pytestmark = pytest.mark.node

_SCRIPT = Path(__file__).parents[1] / "clients" / "documents.mjs"
_CLIENTS = 3
_KINDS = ["insert", "insert", "delete", "replace", "set", "hear", "hear"]
_WORDS = ["a", "é", "😀", "😀😁", "x𝒳y", "👨‍👩‍👧", "\ude01", "�"]
"""What clients write; what is left of an emoji when its first half was there already, too."""

Shown = dict[str, Any]


def moves_of(kinds: Sequence[str], clients: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(
        st.tuples(
            st.sampled_from(kinds),
            st.integers(0, clients - 1),
            st.integers(0, 2),
            st.integers(0, 40),
            st.integers(1, 3),
            st.sampled_from(_WORDS),
        ),
        min_size=2,
        max_size=25,
    )


moves = moves_of(_KINDS, _CLIENTS)
# Where several format at once, every Yjs clears what it finds needless, and others find more.
formatting = moves_of([*_KINDS, "format", "format"], 1)


@pytest.fixture(scope="module")
def yjs(node_clients: None) -> Iterator[Host]:
    with run("node", str(_SCRIPT)) as host:
        yield host


def written(yjs: Host, moves: Sequence[Any]) -> list[bytes]:
    encoded = yjs.call(None, "write", clients=_CLIENTS, moves=moves)
    return [base64.b64decode(update) for update in encoded]


def seen(yjs: Host, *updates: bytes) -> list[Shown]:
    """What Yjs shows after each of some updates."""
    encoded = [base64.b64encode(update).decode() for update in updates]
    shown: list[Shown] = yjs.call(None, "show", updates=encoded)
    for each in shown:
        each["stateVector"] = decode(base64.b64decode(each["stateVector"]))
        for name in ("text", "nested", "xml"):
            each[name] = _runs((run["insert"], run.get("attributes")) for run in each[name])
    return shown


def shown(document: Document) -> Shown:
    """What somebody who loads a document shows, in the same words; nothing may wait there."""
    opened = document_of([document.encode()])
    assert opened.pending_bytes == 0
    copy: pycrdt.Doc[Any] = pycrdt.Doc()
    copy.apply_update(opened.encode())
    of_map = copy.get("map", type=pycrdt.Map)
    xml = copy.get("xml", type=pycrdt.XmlFragment).children
    return {
        "text": _runs(copy.get("text", type=pycrdt.Text).diff()),
        "nested": _runs(of_map["text"].diff()) if "text" in of_map else [],
        "xml": _runs(xml[0].diff()) if len(xml) else [],
        "key": of_map.get("key"),
        "stateVector": decode(opened.state_vector),
    }


def _runs(chunks: Iterable[tuple[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The runs of a text, in one way for all ways of cutting the same."""
    runs: list[tuple[str, dict[str, Any]]] = []
    for insert, formats in chunks:
        formats = {name: value for name, value in (formats or {}).items() if value is not None}
        if runs and runs[-1][1] == formats:
            runs[-1] = (runs[-1][0] + insert, formats)
        else:
            runs.append((insert, formats))
    return runs


def document_of(updates: Sequence[bytes]) -> Document:
    document = Document()
    for update in updates:
        document.apply(update)
    return document


def entries_of(updates: Sequence[bytes]) -> list[Entry]:
    return [
        Entry(seq=seq, update=update, time_ms=seq, author=None)
        for seq, update in enumerate(updates, 1)
    ]


def loaded(updates: Sequence[bytes], checkpoint: bytes | None = None) -> Document:
    return Document.load(
        Stored(
            document="d",
            seq=len(updates),
            checkpoint=checkpoint,
            checkpoint_seq=0,
            entries=entries_of(updates),
        )
    )


@settings(max_examples=150, deadline=None)
@given(moves=moves)
def test_after_each_change_a_document_shows_what_yjs_shows(yjs: Host, moves: list[Any]) -> None:
    updates = written(yjs, moves)
    document = Document()
    for update, expected in zip(updates, seen(yjs, *updates), strict=True):
        check_update(update)
        document.apply(update)
        assert shown(document) == expected
        assert decode(document.state_vector) == expected["stateVector"]


@settings(max_examples=150, deadline=None)
@given(moves=formatting, seed=st.integers(0, 2**32))
def test_formatted_text_is_cut_too(yjs: Host, moves: list[Any], seed: int) -> None:
    updates = written(yjs, moves)
    document = Document()
    for update, expected in zip(updates, seen(yjs, *updates), strict=True):
        document.apply(update)
        assert shown(document) == expected
    random.Random(seed).shuffle(updates)
    assert shown(loaded(updates)) == expected


@settings(max_examples=150, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_in_whatever_order_they_come(yjs: Host, moves: list[Any], seed: int) -> None:
    updates = written(yjs, moves)
    expected = seen(yjs, *updates)[-1]
    random.Random(seed).shuffle(updates)
    assert seen(yjs, *updates)[-1] == expected
    assert shown(document_of(updates)) == expected


@settings(max_examples=150, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_who_opens_it_gets_what_yjs_shows(yjs: Host, moves: list[Any], seed: int) -> None:
    choose = random.Random(seed)
    updates = written(yjs, moves)
    expected = seen(yjs, *updates)[-1]
    checkpoint = document_of(choose.sample(updates, choose.randrange(len(updates)))).encode()
    choose.shuffle(updates)
    merged = merge(choose.sample([checkpoint, *updates], len(updates) + 1))
    for document in (loaded(updates), loaded(updates, checkpoint), document_of([merged])):
        assert shown(document) == expected
        assert seen(yjs, document.encode())[-1] == expected


@settings(max_examples=150, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_who_gets_only_news_shows_what_yjs_shows(yjs: Host, moves: list[Any], seed: int) -> None:
    choose = random.Random(seed)
    updates = written(yjs, moves)
    expected = seen(yjs, *updates)[-1]
    choose.shuffle(updates)
    document = Document()
    news: list[bytes] = []
    while updates:
        size = choose.randint(1, len(updates))
        part, updates = updates[:size], updates[size:]
        new = document.integrate(merge(part))
        if new is not None:
            news.append(new)
    assert shown(document) == expected
    assert shown(document_of(news)) == expected
    assert seen(yjs, *news)[-1] == expected


@settings(max_examples=150, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_who_comes_back_gets_what_it_lacks(yjs: Host, moves: list[Any], seed: int) -> None:
    choose = random.Random(seed)
    updates = written(yjs, moves)
    expected = seen(yjs, *updates)[-1]
    had = updates[: choose.randint(1, len(updates))]
    document = document_of(updates)
    lacked = document.diff(document_of(had).state_vector)
    assert seen(yjs, *had, lacked)[-1] == expected
    assert shown(document_of([*had, lacked])) == expected


@settings(max_examples=100, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_servers_that_meet_agree_with_yjs(yjs: Host, moves: list[Any], seed: int) -> None:
    choose = random.Random(seed)
    updates = written(yjs, moves)
    expected = seen(yjs, *updates)[-1]
    one, other = Document(), Document()
    for update in updates:
        for document in (one, other):
            if choose.random() < 0.6:
                document.apply(update)
    for update in choose.sample(updates, len(updates)):
        (one if choose.random() < 0.5 else other).apply(update)
    there = other.encode()
    other.apply(one.diff(other.state_vector))
    other.apply(one.encode())
    one.apply(there)
    assert shown(one) == shown(other) == expected


@settings(max_examples=150, deadline=None)
@given(moves=moves, seed=st.integers(0, 2**32))
def test_a_restored_document_shows_what_yjs_showed(yjs: Host, moves: list[Any], seed: int) -> None:
    updates = written(yjs, moves)
    at = random.Random(seed).randint(1, len(updates))
    live = document_of(updates)
    restoration = Restoration(Replay(keep_deleted=True))
    restoration.replay.take(entries_of(updates[:at]))
    restoration.mark()
    restoration.replay.take(entries_of(updates[at:]))
    restoration.undo()
    change = restoration.finish(live)
    if change is not None:
        live.apply(change)
    expected = seen(yjs, *updates[:at])[-1]
    outcomes = [shown(live), seen(yjs, live.encode())[-1]]
    if change is not None:
        outcomes.append(seen(yjs, *updates, change)[-1])
    for outcome in outcomes:
        assert {**outcome, "stateVector": expected["stateVector"]} == expected


@settings(max_examples=100, deadline=None)
@given(moves=moves)
def test_every_character_shown_is_somebodys(yjs: Host, moves: list[Any]) -> None:
    updates = written(yjs, moves)
    deliveries = Deliveries(pause_seconds=0)
    for entry in entries_of(updates):
        deliveries.add(entry)
    texts = attribute(document_of(updates), deliveries)
    runs = [run for text in texts for run in text.runs if text.path == ("text",)]
    expected = "".join(insert for insert, _ in seen(yjs, *updates)[-1]["text"])
    assert "".join(str(run.insert) for run in runs) == expected
    assert all(run.change is not None for run in runs)


def test_clients_agree_about_half_an_emoji_and_so_does_who_opens_it_later(
    driver: Driver, store: Path
) -> None:
    with ExitStack() as servers:
        server = servers.enter_context(serve(store))
        clients = [driver.open(server.websockets, "notes") for _ in range(2)]
        for client in clients:
            client.wait_synced()
        clients[0].insert(0, "a😀b")
        driver.wait_agreed(clients)
        clients[1].insert(2, "x")
        clients[1].insert(5, "!")
        fresh = driver.open(server.websockets, "notes")
        assert driver.wait_agreed([*clients, fresh]) == "a\ufffdx\ufffdb!"
        for client in clients:
            client.wait_acknowledged()
        server.terminate()
        server = servers.enter_context(serve(store, port=server.port))
        late = driver.open(server.websockets, "notes")
        assert driver.wait_agreed([*clients, late]) == "a\ufffdx\ufffdb!"
    assert export(store, "notes") == "a\ufffdx\ufffdb!"
