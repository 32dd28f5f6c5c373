"""One kind of untrusted input: its seeds, how they are changed, and what reads them."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from progeo_core.errors import ProgeoError
from test.fuzz.mutation import mutate

_MAX_MESSAGE = 4200


class Outcome(str, enum.Enum):
    """What became of one case; the first two are right."""

    READ = "read"
    REFUSED = "refused"
    SILENT = "silent"  # other content, and no error
    WRONG = "wrong"  # an exception that nobody promised, or a dead process
    HANG = "hang"


class RefusedError(Exception):
    """A reader refused as its docstring promises, though not by a `ProgeoError`."""


class SilentChangeError(Exception):
    """A reader gave other content than was written, and no error."""


class TookTooLong(BaseException):  # a reader's `except Exception` must not take it
    """A case used up its time."""


class Kind(NamedTuple):
    """One kind of input.

    seeds: makes the undamaged inputs, the same every time. read: reads one, in an empty folder;
    asserts what holds for everything that is read. change: makes a case of one seed, given all.
    share: relative number of cases; slow kinds have fewer.
    """

    seeds: Callable[[], Sequence[Any]]
    read: Callable[[Any, Path], object]
    change: Callable[[Any, Random, Sequence[Any]], Any] = mutate
    share: float = 1.0


def make_case(kind: Kind, name: str, seeds: Sequence[Any], number: int) -> Any:
    """Return a case, which depends on nothing but the kind's name and the number."""
    rng = Random(f"{name}/{number}")
    return kind.change(rng.choice(seeds), rng, seeds)


def run_case(kind: Kind, case: Any) -> Outcome:
    """Read a case; raise what the reader raised wrongly."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            kind.read(case, Path(folder))
        except RefusedError:
            return Outcome.REFUSED
        except ProgeoError as error:
            message = str(error)
        else:
            return Outcome.READ
    assert message.isprintable(), "an error with line breaks or control characters"
    assert 0 < len(message) <= _MAX_MESSAGE, "an error too long to read"
    return Outcome.REFUSED
