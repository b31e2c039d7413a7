"""Backoff: how long to wait before the next attempt to connect."""

import random
from dataclasses import dataclass

_MAX_DOUBLINGS = 30


@dataclass(slots=True)
class Backoff:
    """Exponential backoff with full jitter.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.

    Attributes:
        base_seconds: bound of the first wait.
        cap_seconds: bound of every wait.
        failures: attempts that failed since the last one that went well.
    """

    base_seconds: float
    cap_seconds: float
    failures: int = 0

    def next_seconds(self) -> float:
        """Counts a failure; returns how long to wait."""
        bound = min(self.cap_seconds, self.base_seconds * 2.0 ** min(self.failures, _MAX_DOUBLINGS))
        self.failures += 1
        return random.random() * bound

    def reset(self) -> None:
        """An attempt went well."""
        self.failures = 0
