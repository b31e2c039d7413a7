import hypothesis.strategies as st
import pytest
from hypothesis import given

from collab.archive import KEEP_ALL, Retention
from collab.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("all", None),
        ("none", 0),
        ("1s", 1000),
        ("90s", 90_000),
        ("15m", 900_000),
        ("30d", 2_592_000_000),
        ("2w", 1_209_600_000),
    ],
)
def test_a_retention_is_read_and_written_as_text(text: str, milliseconds: int | None) -> None:
    assert Retention.parse(text) == Retention(milliseconds)
    assert str(Retention.parse(text)) == text


@given(st.integers(1, 10**9 - 1), st.sampled_from("smhdw"))
def test_what_is_written_is_read_as_the_same(number: int, unit: str) -> None:
    retention = Retention.parse(f"{number}{unit}")
    assert Retention.parse(str(retention)) == retention


@pytest.mark.parametrize("text", ["", "0d", "30", "d", "-1d", "1 d", "1y", "ALL", "1.5d", "٣d"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected all, none or a span like 30d, got"):
        Retention.parse(text)


def test_all_is_kept_for_ever() -> None:
    assert Retention.parse("all") == KEEP_ALL
