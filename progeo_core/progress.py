"""How long work tells its caller that it advances."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with the number of items done since the last call.
Advance: TypeAlias = Callable[[int], object]


def no_progress(count: int) -> None:
    """Ignore progress."""
