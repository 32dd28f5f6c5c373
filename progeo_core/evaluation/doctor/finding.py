"""One thing that was looked at, and what to do about it."""

from __future__ import annotations

import enum
from typing import NamedTuple


class State(enum.Enum):
    """How a thing is: it works, it could be better, or something does not work without it."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """What was found; fix: what to do, "" where nothing is."""

    subject: str
    state: State
    text: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the documented keys of `progeo doctor --json`."""
        return {**self._asdict(), "state": self.state.value}


def good(subject: str, text: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(subject, State.GOOD, text)
