"""Throttle: the rate is kept in the long run, and a burst goes through."""

from hypothesis import given
from hypothesis import strategies as st

from collab.server.limits.throttle import Throttle
from collab.server.settings import Settings

SETTINGS = Settings(connection_messages_per_second=10, connection_bytes_per_second=1000)


def test_two_seconds_worth_of_messages_come_at_once_and_the_next_waits() -> None:
    throttle = Throttle(SETTINGS, 0.0)
    assert max(throttle.take(1, 0.0) for _ in range(20)) < 1e-9
    assert 0.0 < throttle.take(1, 0.0) <= 0.1 + 1e-9


def test_one_long_message_is_paid_for_by_a_rest() -> None:
    throttle = Throttle(SETTINGS, 0.0)
    assert abs(throttle.take(5000, 0.0) - 3.0) < 1e-9
    assert throttle.take(1, 10.0) == 0.0


@given(st.lists(st.tuples(st.integers(1, 3000), st.floats(0, 2)), min_size=1, max_size=60))
def test_who_rests_as_told_never_sends_faster_than_the_rates(
    messages: list[tuple[int, float]],
) -> None:
    throttle = Throttle(SETTINGS, 0.0)
    now = 0.0
    total = 0
    for count, (size, pause) in enumerate(messages, 1):
        now += pause
        total += size
        now += throttle.take(size, now)
        assert count <= 10 * (now + 2) + 1e-6
        assert total <= 1000 * (now + 2) + 1e-6
