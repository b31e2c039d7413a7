"""The page on clients, against what the tests before this one showed."""

import pytest

from tests.lanes import is_whole
from tests.matrix import MATRIX, read_claims


def test_the_page_on_clients_claims_what_the_tests_show(request: pytest.FixtureRequest) -> None:
    matrix = request.config.stash[MATRIX]
    claimed = {(row, name) for row, features in read_claims().items() for name in features}
    outcomes = {
        (row, name): passed
        for row, features in matrix.shown.items()
        for name, passed in features.items()
    }
    shown = {cell for cell, passed in outcomes.items() if passed}
    assert claimed & outcomes.keys() == shown, "out of date: run `make matrix`"
    if is_whole(request.config):
        planned = {(row, name) for row, features in matrix.planned.items() for name in features}
        assert claimed <= planned, "claimed without a test: run `make matrix`"
