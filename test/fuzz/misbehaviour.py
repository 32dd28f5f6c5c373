"""Kinds that behave as readers must not, to see that a worker notices."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from progeo_core.errors import DataError
from test.fuzz.kind import Kind, SilentChangeError

_READ = "read"
WAYS = (_READ, "refused", "wrong", "silent", "memory", "dies", "sleeps", "spins")


def _behave(way: str, _: Path) -> None:
    if way == "refused":
        raise DataError("no")
    if way == "wrong":
        raise KeyError(way)
    if way == "silent":
        raise SilentChangeError(way)
    if way == "memory":
        bytearray(1 << 33)
    if way == "dies":
        os.abort()
    if way == "sleeps":
        time.sleep(600.0)
    while way == "spins":
        pass


def _kind(way: str) -> Kind:
    def change(_: str, __: Random, ___: Sequence[str]) -> str:
        return way

    return Kind(lambda: [_READ], _behave, change)


KINDS = {way: _kind(way) for way in WAYS}
