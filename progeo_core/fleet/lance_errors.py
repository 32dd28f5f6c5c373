"""Errors of LanceDB: those that pass when tried again, and what the others mean to a user."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from progeo_core.errors import DataError, ProgeoError
from progeo_core.map.sqlite_file import DamageError

# A commit that meets others is tried again for so long (s).
_RETRY_S = 60.0
_FIRST_WAIT_S = 0.05
_CONFLICTS = re.compile(r"conflict|concurrent|already exists|too many concurrent", re.IGNORECASE)
_MAX_MESSAGE = 300
# What an engine's message means; the first that fits.
_MEANINGS = (
    (
        "No space left|disk full|quota|File too large",
        "the disk is full: free some room and try again",
    ),
    (
        r"AccessDenied|Forbidden|\b403\b|InvalidAccessKeyId|SignatureDoesNotMatch|Unauthorized",
        "access is denied: set the object store's credentials in the environment (docs/fleet.md)",
    ),
    ("NoSuchBucket", "there is no such bucket: create it, or name another one"),
    (
        "ConnectError|dns error|timed out|Failed to resolve region",
        "the object store cannot be reached: check the network, and the region or endpoint in the"
        " environment (docs/fleet.md)",
    ),
    ("credential", "there are no credentials: set the object store's in the environment"),
)
# Others, which are told as well; the last one fits all.
_FAULTS = (
    (
        r"not found: .*\.lance/|table '\w+' was not found",
        "a file of the store is missing: bring the store back if it is gone for now; if a part of"
        " it was removed, restore that, or push the maps to a new one",
    ),
    (
        "failed to fill whole buffer|file size is too small|invalid range",
        "a file of the store is cut short, as by a power cut or an unfinished copy: restore it, or"
        " push the maps to a new one",
    ),
    ("", "the store cannot be used: is it still there, and reachable?"),
)
# What a version's file ends with once it is written in full.
_LAST_BYTES = b"LANC"
_Result = TypeVar("_Result")


def is_conflict(error: Exception) -> bool:
    """Whether a commit failed as others committed meanwhile."""
    return bool(_CONFLICTS.search(str(error)))


def retried(commit: Callable[[], _Result]) -> _Result:
    """Return what a commit returns; one that met others is tried again after a while."""
    end, wait_s = time.monotonic() + _RETRY_S, _FIRST_WAIT_S
    while True:
        try:
            return commit()
        except (RuntimeError, OSError, ValueError) as error:
            if not is_conflict(error) or time.monotonic() > end:
                raise
        time.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2.0 * wait_s, 2.0)


@contextlib.contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what the engine raises into one line that names the store and what to do."""
    try:
        yield
    except ProgeoError:
        raise
    except DamageError as error:
        raise DataError(
            f"{uri}: the store is damaged; restore an earlier version of it, or push its maps to a"
            f" new one ({error})"
        ) from error
    except (RuntimeError, OSError, ValueError, LookupError) as error:
        raise DataError(f"{uri}: {_meaning(uri, str(error))}") from error


def _meaning(uri: str, message: str) -> str:
    cut = "" if "://" in uri else " and ".join(map(str, _cut_versions(Path(uri))))
    if cut:
        return (
            f"the newest version is cut short, as by a power cut: remove {cut} and the store is as"
            " it was before its last change, which the same command makes again"
        )
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, message, re.IGNORECASE):
            return meaning
    fault = next(one for pattern, one in _FAULTS if re.search(pattern, message, re.IGNORECASE))
    # Without where in the engine's source it was raised.
    short = re.sub(r",?\s*/\S+\.rs:\d+(:\d+)?", "", message).strip()[:_MAX_MESSAGE]
    return f"{fault} ({short})"


def _cut_versions(folder: Path) -> Iterator[Path]:
    """Yield the newest version of each table in a folder that was not written in full."""
    with contextlib.suppress(OSError):
        for table in sorted(folder.glob("*.lance")):
            # Names count downwards.
            newest = min((table / "_versions").glob("*.manifest"), default=None)
            if newest is not None and not newest.read_bytes().endswith(_LAST_BYTES):
                yield newest
