"""Every target, fuzzed a little from the kept corpus; `make fuzz` goes on for an hour."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz import corpus
from tests.fuzz.campaign import Length, fuzz, reproduce
from tests.fuzz.pieces import joined, pieces
from tests.fuzz.targets import TARGETS
from tests.needs import skip_or_fail

FRESH_INPUTS = 1000
"""Tried after the corpus: so many, however long it takes, and always from the same seed.

What is new is for ``make fuzz`` to find; a test that is run twice is to say the same twice.
"""


@pytest.fixture
def fuzzer() -> None:
    """atheris has wheels for Linux alone."""
    if find_spec("atheris") is None:
        skip_or_fail("atheris")


@pytest.mark.usefixtures("fuzzer")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    inputs = len(corpus.load(target)) + FRESH_INPUTS
    length = Length(inputs=inputs, processes=1)
    outcome = fuzz(target, length, keep=False, findings=tmp_path, seed=1)
    assert not outcome.report, f"{outcome.report}\nfound: {outcome.findings}"
    assert outcome.inputs >= inputs


@pytest.mark.parametrize("target", TARGETS)
def test_there_is_a_corpus_to_begin_with(target: str) -> None:
    kept = corpus.load(target)
    assert 0 < len(kept) <= corpus.MAX_INPUTS
    assert kept == sorted(set(kept), key=lambda each: (len(each), each))


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < 2_000_000
    assert {path.stem for path in corpus.FOLDER.iterdir()} == set(TARGETS)


@pytest.mark.usefixtures("fuzzer")
def test_an_input_that_failed_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"\x05hello")
    assert reproduce("lib0", path) == 0


def test_pieces_come_back_as_they_were_joined() -> None:
    chosen = [(0, b""), (7, b"x" * 300), (255, b"\x00")]
    assert list(pieces(joined(*chosen))) == chosen
