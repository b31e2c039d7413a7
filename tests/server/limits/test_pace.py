"""A pace: a burst, then no more than the rate."""

from collab.server.limits.pace import BURST_SECONDS, Pace


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    pace = Pace(10)
    burst = int(10 * BURST_SECONDS)
    assert [pace.allows(5.0) for _ in range(burst + 1)] == [True] * burst + [False]
    assert not pace.is_full(5.0)
    assert pace.allows(5.11)
    assert not pace.allows(5.12)
    assert pace.is_full(5.12 + BURST_SECONDS)
