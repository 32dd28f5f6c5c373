"""Work done ahead of its consumer by threads, in order and in bounded memory."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough to hide one slow item, few enough that full-size images fit in memory.
_AHEAD_PER_WORKER = 2
_limit = os.cpu_count() or 1


def limit_prefetch(threads: int) -> None:
    """Let this process compute ahead in no more than so many threads, as it has not all cores."""
    global _limit  # noqa: PLW0603  of the process, like its share of the cores
    _limit = threads


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Yield `function(item)` for each item, in order, computed by one thread per core.

    `limit_prefetch` takes fewer. `items` is read by the consumer's thread only, never more than a
    few items ahead, so it may be a file or an endless stream. An exception of `function` is raised
    at its item's turn; one of `items` after the results before it. Closing the iterator early stops
    the threads.
    """
    workers = _limit
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
    pending: collections.deque[Future[Result]] = collections.deque()
    remaining = iter(items)
    failure: Exception | None = None
    try:
        while True:
            try:
                for item in itertools.islice(remaining, workers * _AHEAD_PER_WORKER - len(pending)):
                    pending.append(pool.submit(function, item))
            except Exception as error:
                # The iterator is finished now: what was read before it broke still counts.
                failure, remaining = error, iter(())
            if not pending:
                break
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
