"""The node's thread for a fleet's map: regions in, keyframes up, and a look at the whole store."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from concurrent.futures import Future, wait
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from progeo_core.errors import DataError, ProgeoError
from progeo_core.fleet.robot_fleet import RobotFleet, discard
from progeo_core.geo import Datum
from progeo_core.localization.answer import Localization
from progeo_core.poses.pose_messages import PoseReading
from progeo_ros.inputs.reference import ReferenceInput
from progeo_ros.outputs.diagnostics import fleet_status
from progeo_ros.pipeline import Pipeline
from progeo_ros.process.guarded_node import GuardedLifecycleNode

_log = logging.getLogger(__name__)
_PERIOD_S = 1.0
# A fix counts for this long (s).
_FIX_S = 10.0
# Of the thread: what answers images comes first.
_NICENESS = 10


class _Search(NamedTuple):
    """Look at the whole store that somebody waits for, until a time of `time.monotonic`."""

    deadline: float
    found: Future[Localization]


class FleetLink:
    """Thread that keeps the region around the robot in use, and shares what is mapped.

    `start` and `stop` it any number of times, then `close` it, before the pipeline.
    """

    def __init__(
        self, node: GuardedLifecycleNode, fleet: RobotFleet, pipeline: Pipeline, limit_s: float
    ) -> None:
        """Start the thread. limit_s: of a search in the whole store."""
        self._node, self._fleet, self._pipeline, self._limit_s = node, fleet, pipeline, limit_s
        self._fix_input: ReferenceInput | None = None
        self._fix: tuple[Datum, float] | None = None
        self._searches: queue.SimpleQueue[_Search | None] = queue.SimpleQueue()
        self._step = node.callback_failures.guard(self._work)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Subscribe to fixes."""
        self._fix_input = ReferenceInput(self._node, "fix", self._on_fix)

    def stop(self) -> None:
        """Unsubscribe."""
        if self._fix_input is not None:
            self._fix_input.destroy()
        self._fix_input, self._fix = None, None

    def close(self) -> None:
        """End the thread and the process of the store."""
        self.stop()
        self._stopping = True
        self._fleet.close()
        self._searches.put(None)
        self._thread.join()

    def search(self) -> Localization:
        """Return where in the whole store the newest image was taken; go on there if it is sure.

        Raises `DataError` beyond the limit, and what the store or the images raise.
        """
        search = _Search(time.monotonic() + self._limit_s, Future())
        self._searches.put(search)
        # What has begun keeps to the limit by itself.
        if not wait([search.found], self._limit_s + _PERIOD_S).done:
            search.found.cancel()
            raise _too_late(self._limit_s)
        return search.found.result()

    def status(self) -> DiagnosticStatus:
        """Return the health of the link."""
        loaded = self._pipeline.loaded
        return fleet_status(
            self._fleet.uri, 0 if loaded is None else loaded.places, self._fleet.counts()
        )

    def _run(self) -> None:
        # Linux gives every thread a priority of its own.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._stopping:
            self._step()
            try:
                search = self._searches.get(timeout=_PERIOD_S)
            except queue.Empty:
                continue
            if search is not None and search.found.set_running_or_notify_cancel():
                try:
                    search.found.set_result(self._search(search.deadline))
                except Exception as error:
                    search.found.set_exception(error)

    def _work(self) -> None:
        """Do what is due."""
        where = self._where()
        pulled = self._fleet.next_region(where, *self._in_use())
        if pulled is not None:
            try:
                places = self._pipeline.exchange_map(pulled.path)
            except ProgeoError as error:
                self._fleet.refused(pulled, error)
            else:
                self._fleet.taken(pulled)
                _log.info("%s of the fleet's map are in use: %d places", pulled.region, places)
        if not self._stopping:
            self._fleet.upload(*self._pipeline.session.written)

    def _where(self) -> Datum | None:
        """Return where the robot is: by a fix, else by answers, else by the parameter."""
        fix = self._fix
        if fix is not None and time.monotonic() - fix[1] < _FIX_S:
            return fix[0]
        position = self._pipeline.position()
        if position is not None:
            return Datum(*position[:2])
        return self._fleet.start if self._fleet.cache.region is None else None

    def _in_use(self) -> tuple[Datum | None, Path | None]:
        loaded = self._pipeline.loaded
        if loaded is None:
            return None, None
        return loaded.place_map.datum, loaded.place_map.path

    def _search(self, deadline: float) -> Localization:
        """Look for the newest image in the regions of the store that look like it."""
        answers: list[Localization] = []
        descriptor = self._pipeline.describe_newest()
        for region in self._fleet.regions_like(descriptor, self._left_s(deadline)):
            pulled = self._fleet.pull(region, *self._in_use(), self._left_s(deadline))
            try:
                answers.append(self._pipeline.try_map(pulled.path))
            except ProgeoError:
                discard(pulled)
                raise
            if answers[-1].accepted:
                # Only newer fixes may contradict it.
                self._fix = None
                self._fleet.taken(pulled)
                return answers[-1]
            discard(pulled)
        if not answers:
            raise DataError(f"{self._fleet.uri}: the store holds no place yet")
        return max(answers, key=lambda answer: answer.estimate.confidence)

    def _left_s(self, deadline: float) -> float:
        left_s = deadline - time.monotonic()
        if left_s <= 0.0:
            raise _too_late(self._limit_s)
        return left_s

    def _on_fix(self, reading: PoseReading) -> None:
        self._fix = Datum(*reading.position[:2]), time.monotonic()


def _too_late(limit_s: float) -> DataError:
    return DataError(
        f"nothing was found within {limit_s:g} s: is the fleet's store reachable? The parameter"
        " fleet.relocalize_s gives it more time"
    )
