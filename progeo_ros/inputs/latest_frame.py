"""One thread that always works on the newest item of each source and drops older ones."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from progeo_core.errors import ProgeoError

_log = logging.getLogger(__name__)
T = TypeVar("T")
ResultT = TypeVar("ResultT")


class LatestFrameWorker(Generic[T]):
    """Thread that works on the newest frame of every camera.

    One thread serves all cameras in turn, as they share one encoder: a camera that sends faster
    than the encoder works loses its own older frames and never those of another camera.
    """

    def __init__(self, work: Callable[[str, T], None], dropped: Callable[[str], None]) -> None:
        """Start the thread.

        work: called in it with (source, item); what it raises is logged and ends that item only.
        dropped: called with the source of each item that is dropped, in the thread that puts.
        """
        self._work, self._dropped = work, dropped
        self._changed = threading.Condition()
        # Replacing a waiting frame keeps its place in the queue, so every camera has its turn.
        self._waiting: dict[str, T] = {}
        self._calls: list[Callable[[], None]] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="latest_frame", daemon=True)
        self._thread.start()

    def put(self, source: str, item: T) -> None:
        """Leave the newest item of a source, in place of one that still waits."""
        with self._changed:
            superseded = self._stopping or source in self._waiting
            if not self._stopping:
                self._waiting[source] = item
            self._changed.notify()
        if superseded:
            self._dropped(source)

    def call(self, function: Callable[[], ResultT]) -> Future[ResultT]:
        """Run a function in the thread, between two items and before the next one.

        The future raises `ProgeoError` if the worker is stopped.
        """
        future: Future[ResultT] = Future()
        with self._changed:
            if self._stopping:
                future.set_exception(ProgeoError("the node is stopping: nothing was done"))
            else:
                self._calls.append(lambda: _fulfil(future, function))
            self._changed.notify()
        return future

    def flush(self) -> None:
        """Drop what waits and return when the item at work is finished."""
        with self._changed:
            abandoned = list(self._waiting)
            self._waiting.clear()
        for source in abandoned:
            self._dropped(source)
        self.call(lambda: None).exception()

    def stop(self) -> None:
        """Flush, and end the thread; what is put from now on counts as dropped."""
        self.flush()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._calls or self._waiting)
                calls, self._calls = self._calls, []
                source = None if calls else next(iter(self._waiting), None)
                item: Any = None if source is None else self._waiting.pop(source)
            for call in calls:
                call()
            if source is not None:
                self._attempt(source, item)
            elif not calls:
                return

    def _attempt(self, source: str, item: T) -> None:
        try:
            self._work(source, item)
        except Exception:
            # A dead thread would leave every later image waiting, and the node unable to stop.
            _log.exception("work on %s failed", source)


def _fulfil(future: Future[ResultT], function: Callable[[], ResultT]) -> None:
    """Put the result of a function, or what it raised, into a future."""
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
