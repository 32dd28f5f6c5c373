import threading
from collections.abc import Iterator

import pytest

from progeo_core.errors import ProgeoError
from progeo_ros.inputs.latest_frame import LatestFrameWorker

PATIENCE_S = 60.0


class SlowWork:
    """Work that takes as long as the test wants."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.dropped: list[str] = []
        self.started = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.worker = LatestFrameWorker(self._work, self.dropped.append)

    def _work(self, camera: str, item: int) -> None:
        self.begun.append((camera, item))
        self.started.release()
        assert self.go_on.acquire(timeout=PATIENCE_S)

    def finish(self, items: int) -> None:
        """Let the work on some items end, each after it has begun."""
        for _ in range(items):
            assert self.started.acquire(timeout=PATIENCE_S)
            self.go_on.release()


@pytest.fixture
def slow() -> Iterator[SlowWork]:
    work = SlowWork()
    yield work
    work.worker.stop()


def test_a_busy_worker_keeps_only_the_newest(slow: SlowWork) -> None:
    slow.worker.put("front", 0)
    assert slow.started.acquire(timeout=PATIENCE_S)
    for item in (1, 2, 3):
        slow.worker.put("front", item)
    slow.go_on.release()
    slow.finish(1)
    slow.worker.flush()
    assert slow.begun == [("front", 0), ("front", 3)]
    assert slow.dropped == ["front", "front"]


def test_cameras_take_turns_and_do_not_drop_each_others_images(slow: SlowWork) -> None:
    slow.worker.put("front", 0)
    assert slow.started.acquire(timeout=PATIENCE_S)
    for item, camera in enumerate(["front", "rear", "front", "rear", "front"], start=1):
        slow.worker.put(camera, item)
    slow.go_on.release()
    slow.finish(2)
    slow.worker.flush()
    assert slow.begun == [("front", 0), ("front", 5), ("rear", 4)]
    assert sorted(slow.dropped) == ["front", "front", "rear"]


def test_calls_run_between_two_items_and_return_or_raise(slow: SlowWork) -> None:
    slow.worker.put("front", 0)
    assert slow.started.acquire(timeout=PATIENCE_S)
    slow.worker.put("front", 1)
    seen = slow.worker.call(lambda: list(slow.begun))
    broken = slow.worker.call(lambda: 1 // 0)
    slow.go_on.release()
    assert seen.result(PATIENCE_S) == [("front", 0)]
    with pytest.raises(ZeroDivisionError):
        broken.result(PATIENCE_S)
    slow.finish(1)


def test_work_that_raises_ends_neither_the_thread_nor_the_next_item(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[int] = []

    def work(camera: str, item: int) -> None:
        done.append(10 // item)

    worker: LatestFrameWorker[int] = LatestFrameWorker(work, lambda camera: None)
    worker.put("front", 0)
    worker.put("rear", 5)
    while not done:
        worker.call(lambda: None).result(PATIENCE_S)
    worker.stop()
    assert done == [2]
    assert "work on front failed" in caplog.text


def test_flushing_finishes_the_item_at_work_and_counts_the_waiting(slow: SlowWork) -> None:
    slow.worker.put("front", 0)
    assert slow.started.acquire(timeout=PATIENCE_S)
    slow.worker.put("front", 1)
    slow.go_on.release()
    slow.go_on.release()
    slow.worker.flush()
    # The waiting one was reached in time or counted, never lost.
    assert len(slow.begun) + len(slow.dropped) == 2


def test_after_stopping_everything_counts_as_dropped_and_calls_fail(slow: SlowWork) -> None:
    slow.worker.stop()
    slow.worker.put("front", 0)
    assert slow.dropped == ["front"]
    assert slow.begun == []
    with pytest.raises(ProgeoError, match="stopping"):
        slow.worker.call(lambda: None).result(PATIENCE_S)
    slow.worker.stop()
