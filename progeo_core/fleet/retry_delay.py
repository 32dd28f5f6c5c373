"""When to try again what failed, ever later, and what there is to say of it."""

from __future__ import annotations

import math
from collections.abc import Callable

# After failures, the next try comes after the first time (s), doubled up to the second.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 300.0


class RetryDelay:
    """Time until something that failed is tried again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without failures; clock: seconds."""
        self._clock = clock
        self._wait_s, self._until_s = 0.0, -math.inf
        self.failures = 0
        self.fault = ""

    @property
    def over(self) -> bool:
        """Whether it may be tried."""
        return self._clock() >= self._until_s

    def failed(self, why: str) -> bool:
        """Note a failure; return whether it is a new one, of which nothing was said yet."""
        self._wait_s = min(max(2.0 * self._wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)
        self._until_s = self._clock() + self._wait_s
        self.failures += 1
        is_new, self.fault = not self.fault, why
        return is_new

    def succeeded(self) -> None:
        """Note that it works."""
        self._wait_s, self.fault = 0.0, ""
