"""What became of every image of one camera: the counts always add up."""

from __future__ import annotations

import collections
import math
import threading
import time
from typing import NamedTuple

import numpy as np

# Rate and latency percentiles are over this many images: ten seconds at 10 Hz.
_WINDOW = 100
# Stamps in microseconds go by 1,000 times slower than those in nanoseconds.
_MIN_STAMPS, _CRAWL = 20, 100


class Percentiles(NamedTuple):
    """Percentiles of the latency, NaN before the first answer."""

    p50: float
    p95: float
    p99: float


class CameraCounts(NamedTuple):
    """Counts of one camera's images at one moment.

    received = answered + dropped + failed + waiting at any time. dropped: a newer image came
    first. failed: the image could not be used. lost: sent, but never received. metric: answered
    by landmarks. uncalibrated: images without a calibration that fits, and calibration_problem:
    why, "" where the last one had one. mount_problem: why metric poses are not those of the robot.
    stamps_crawl: their stamps go by far slower than time, as in another unit than nanoseconds.
    rate_hz: of arrivals. silence_s: time since the last image, or since the start without one.
    failure_age_s: time since the last failure, infinite without one.
    """

    received: int
    answered: int
    accepted: int
    metric: int
    uncalibrated: int
    dropped: int
    failed: int
    lost: int
    waiting: int
    rate_hz: float
    silence_s: float
    latency_ms: Percentiles
    last_failure: str
    failure_age_s: float
    incompatible_qos: str
    calibration_problem: str
    mount_problem: str
    stamps_crawl: bool


class CameraStatistics:
    """Counter of the images of one camera; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start at zero, now."""
        self._lock = threading.Lock()
        self._received = self._answered = self._accepted = 0
        self._dropped = self._failed = self._lost = 0
        self._metric = self._uncalibrated = 0
        self._last_failure = self._incompatible_qos = ""
        self._calibration_problem = self._mount_problem = ""
        self._last_arrival = time.monotonic()
        self._failed_at = -math.inf
        self._arrivals: collections.deque[float] = collections.deque(maxlen=_WINDOW)
        self._stamps_ns: collections.deque[int] = collections.deque(maxlen=_WINDOW)
        self._latencies_ms: collections.deque[float] = collections.deque(maxlen=_WINDOW)

    def count_received(self, stamp_ns: int = 0) -> None:
        """Count an image that arrived now; a stamp of 0 is none."""
        with self._lock:
            self._received += 1
            self._stamps_ns.append(stamp_ns)
            self._last_arrival = time.monotonic()
            self._arrivals.append(self._last_arrival)

    def count_answered(self, latency_ms: float, *, accepted: bool, metric: bool = False) -> None:
        """Count an image whose answer was published; metric: it is by landmarks."""
        with self._lock:
            self._answered += 1
            self._accepted += accepted
            self._metric += metric
            self._latencies_ms.append(latency_ms)

    def count_dropped(self) -> None:
        """Count an image that a newer one replaced, or that waited when the node stopped."""
        with self._lock:
            self._dropped += 1

    def count_failed(self, reason: str) -> None:
        """Count an image that could not be used, and why."""
        with self._lock:
            self._failed += 1
            self._last_failure = reason
            self._failed_at = time.monotonic()

    def note_calibration(self, problem: str) -> None:
        """Remember whether an image has a calibration, and count it where it has none."""
        with self._lock:
            self._uncalibrated += bool(problem)
            self._calibration_problem = problem

    def note_mount(self, problem: str) -> None:
        """Remember why metric poses are not those of the robot, "" where they are."""
        with self._lock:
            self._mount_problem = problem

    def count_lost(self, images: int) -> None:
        """Count images that were sent and never received."""
        with self._lock:
            self._lost += images

    def note_incompatible_qos(self, policy: str) -> None:
        """Remember that a publisher was found whose QoS does not match."""
        with self._lock:
            self._incompatible_qos = policy

    def counts(self) -> CameraCounts:
        """Return all figures at one moment."""
        with self._lock:
            done = self._answered + self._dropped + self._failed
            return CameraCounts(
                received=self._received,
                answered=self._answered,
                accepted=self._accepted,
                metric=self._metric,
                uncalibrated=self._uncalibrated,
                dropped=self._dropped,
                failed=self._failed,
                lost=self._lost,
                waiting=self._received - done,
                rate_hz=self._rate_hz(),
                silence_s=time.monotonic() - self._last_arrival,
                latency_ms=_percentiles(self._latencies_ms),
                last_failure=self._last_failure,
                failure_age_s=time.monotonic() - self._failed_at,
                incompatible_qos=self._incompatible_qos,
                calibration_problem=self._calibration_problem,
                mount_problem=self._mount_problem,
                stamps_crawl=self._stamps_crawl(),
            )

    def _rate_hz(self) -> float:
        """Return the arrival rate up to now, so that it falls when the camera falls silent."""
        if len(self._arrivals) < 2:
            return 0.0
        return (len(self._arrivals) - 1) / max(time.monotonic() - self._arrivals[0], 1e-9)

    def _stamps_crawl(self) -> bool:
        """Whether stamps went by far slower than time did; a recording may be played slowly."""
        if len(self._arrivals) < _MIN_STAMPS or not all(self._stamps_ns):
            return False
        went_s = (self._stamps_ns[-1] - self._stamps_ns[0]) * 1e-9
        return abs(went_s) * _CRAWL < self._arrivals[-1] - self._arrivals[0]


def _percentiles(values: collections.deque[float]) -> Percentiles:
    if not values:
        return Percentiles(math.nan, math.nan, math.nan)
    return Percentiles(*(float(value) for value in np.percentile(list(values), (50, 95, 99))))
