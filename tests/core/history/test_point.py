from datetime import UTC, datetime, timedelta

import pytest

from collab.errors import InvalidName, InvalidPoint
from collab.history.point import milliseconds, read_point, written
from collab.versions import check_version_name


def test_digits_are_a_seq() -> None:
    assert read_point("0") == 0
    assert read_point("20261122") == 20_261_122


def test_iso_dates_and_times_are_times_in_utc_unless_they_say_otherwise() -> None:
    assert read_point("2026-11-22") == datetime(2026, 11, 22, tzinfo=UTC)
    assert read_point("2026-11-22T10:30:00.5Z") == datetime(2026, 11, 22, 10, 30, 0, 500_000, UTC)
    late = read_point("2026-11-22T10:30+02:00")
    assert isinstance(late, datetime)
    assert late.utcoffset() == timedelta(hours=2)
    assert milliseconds(late) == 1_795_336_200_000
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1)) == 1000


@pytest.mark.parametrize("text", ["7", "2026-11-22T10:30:00.5+02:00", "before the move"])
def test_what_is_written_reads_as_the_same_point(text: str) -> None:
    assert read_point(written(read_point(text))) == read_point(text)


def test_anything_else_is_a_versions_name() -> None:
    assert read_point("before the move") == "before the move"


@pytest.mark.parametrize("text", ["", "9" * 19, "٣"])
def test_what_cannot_be_any_of_them_is_refused(text: str) -> None:
    with pytest.raises(InvalidPoint, match="expected"):
        read_point(text)


@pytest.mark.parametrize("text", ["12", "2026-11-22", "2026-W47", "20261122T1030"])
def test_what_reads_like_a_seq_or_a_time_names_no_version(text: str) -> None:
    assert not isinstance(read_point(text), str)
    with pytest.raises(InvalidName):
        check_version_name(text)
