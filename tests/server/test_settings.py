"""Settings: what cannot work is refused where it is said."""

import math
from dataclasses import Field, fields
from typing import Any

import pytest

from collab.errors import SettingsError
from collab.server import Settings


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_values_that_are_no_bound_are_refused(value: float) -> None:
    with pytest.raises(SettingsError, match="expected unload_seconds above zero"):
        Settings(unload_seconds=value)


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_setting(field: Field[Any]) -> None:
    kind = {bool: "True or False", int: "a whole number", float: "a number"}[type(field.default)]
    others: list[Any] = ["x", None, 1 if kind == "True or False" else True]
    for value in others:
        with pytest.raises(SettingsError) as refusal:
            Settings(**{field.name: value})
        assert str(refusal.value) == f"expected {field.name} to be {kind}, got {value!r}"


def test_a_count_is_whole_and_a_time_need_not_have_a_fraction() -> None:
    with pytest.raises(SettingsError, match=r"expected rooms to be a whole number, got 2\.5"):
        Settings(rooms=2.5)  # type: ignore[arg-type]  # What is refused.
    assert Settings(unload_seconds=60).unload_seconds == 60


def test_parts_too_small_to_cut_are_refused() -> None:
    with pytest.raises(SettingsError, match="expected part_bytes of 128, got 127"):
        Settings(part_bytes=127)


def test_a_peer_is_probed_before_it_is_dropped() -> None:
    with pytest.raises(SettingsError, match="expected dead_seconds above heartbeat_seconds"):
        Settings(heartbeat_seconds=5, dead_seconds=5)


def test_what_is_on_or_off_is_no_bound() -> None:
    assert not Settings(viewer_presence=False).viewer_presence
