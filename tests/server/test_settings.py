"""Settings: what cannot work is refused where it is said."""

import math

import pytest

from collab.errors import SettingsError
from collab.server import Settings


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_values_that_are_no_bound_are_refused(value: float) -> None:
    with pytest.raises(SettingsError, match="expected unload_seconds above zero"):
        Settings(unload_seconds=value)


def test_parts_too_small_to_cut_are_refused() -> None:
    with pytest.raises(SettingsError, match="expected part_bytes of 128, got 127"):
        Settings(part_bytes=127)


def test_a_peer_is_probed_before_it_is_dropped() -> None:
    with pytest.raises(SettingsError, match="expected dead_seconds above heartbeat_seconds"):
        Settings(heartbeat_seconds=5, dead_seconds=5)


def test_what_is_on_or_off_is_no_bound() -> None:
    assert not Settings(viewer_presence=False).viewer_presence
