"""A long typing history through a real client: what is kept, and what opening it costs."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from tests.clients.driver import Driver, drive
from tests.e2e.replay_trace import replay
from tests.e2e.serving import serve

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.timeout(900)]

SOAK = os.environ.get("COLLAB_SOAK") == "1"
EDITS = 100_000 if SOAK else 50_000
FLOOD_EDITS = 100_000 if SOAK else 20_000
WORDS = ["the ", "of ", "room ", "é", "😀", "👨‍👩‍👧", "e\u0301", "𝒳y", "\n", "together "]
CHECKPOINT_ENTRIES = 200
FRESH_MOST_BYTES = 400_000


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A history: the one that ``COLLAB_TRACE`` names, or one made up."""
    given = os.environ.get("COLLAB_TRACE")
    return Path(given) if given else write_history(tmp_path / "trace.json.gz", EDITS)


def write_history(path: Path, size: int) -> Path:
    """Writes so many edits as people type: character by character, with moves and deletions."""
    chance = random.Random(260_000)
    text: list[str] = []
    cursor = 0
    edits: list[tuple[int, int, str]] = []
    while len(edits) < size:
        if chance.random() < 0.03:
            cursor = chance.randint(0, len(text))
        if chance.random() < 0.2 and cursor > 0:
            deleted = min(cursor, chance.choice([1, 1, 1, 8]))
            cursor -= deleted
            edits.append((cursor, deleted, ""))
            del text[cursor : cursor + deleted]
        else:
            for character in chance.choice(WORDS):
                edits.append((cursor, 0, character))
                text.insert(cursor, character)
                cursor += 1
    history = {
        "startContent": "",
        "endContent": "".join(text),
        "txns": [{"patches": [edit]} for edit in edits],
    }
    path.write_bytes(gzip.compress(json.dumps(history).encode()))
    return path


def test_a_long_history_is_kept_to_the_letter_and_opens_from_a_checkpoint_and_few_entries(
    driver: Driver, store: Path, trace: Path
) -> None:
    replayed = replay(driver, store, trace)
    assert replayed.edits >= 20_000
    assert replayed.exported == replayed.expected
    assert replayed.fresh_text == replayed.expected
    assert replayed.rows.all > CHECKPOINT_ENTRIES, "too few commits to need a checkpoint"
    assert replayed.rows.checkpoints == 1
    assert replayed.rows.after_checkpoint <= CHECKPOINT_ENTRIES
    assert replayed.entries_loaded == replayed.rows.after_checkpoint
    assert replayed.fresh_bytes <= FRESH_MOST_BYTES
    # One state and a few words beside it: not the history, and not twice.
    assert replayed.fresh_bytes <= replayed.state_bytes + 1000


@pytest.mark.alone
def test_a_history_typed_at_once_leaves_another_room_responsive(
    driver: Driver, store: Path, tmp_path: Path
) -> None:
    flooding = write_history(tmp_path / "trace.json.gz", FLOOD_EDITS)
    # In a process of its own: the one that types has no time for others.
    with serve(store) as server, drive() as elsewhere:
        typist = driver.open(server.websockets, "flooded")
        bystander = elsewhere.open(server.websockets, "quiet")
        typist.wait_synced()
        bystander.wait_synced()
        flood = typist.host.begin(typist.name, "replay", path=str(flooding))
        echoes = 0
        while not flood.done():
            bystander.insert(0, "x")
            bystander.wait_acknowledged(within=2)
            echoes += 1
        assert flood.result() >= FLOOD_EDITS
        assert echoes > 1
