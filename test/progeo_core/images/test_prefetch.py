"""Order, bounds and failures of threads that work ahead."""

import itertools
import os
import threading

import pytest

from progeo_core.images.prefetch import limit_prefetch, prefetch


def test_results_come_in_order_though_the_first_is_the_slowest():
    first_may_finish = threading.Event()

    def work(item):
        if item == 0 and (os.cpu_count() or 1) > 1:
            first_may_finish.wait(timeout=60)
        if item == 1:
            first_may_finish.set()
        return item * item

    assert list(prefetch(work, range(50))) == [item * item for item in range(50)]


def test_an_endless_source_is_read_only_a_few_items_ahead():
    source = itertools.count()
    results = prefetch(lambda item: item, source)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert next(source) <= 3 + 2 * (os.cpu_count() or 1)


def test_a_process_may_have_less_than_all_cores(monkeypatch):
    monkeypatch.setattr("progeo_core.images.prefetch._limit", 8)
    limit_prefetch(1)
    names = {*prefetch(lambda item: threading.current_thread().name, range(20))}
    assert len(names) == 1


def test_what_was_read_before_the_source_broke_is_still_given():
    def source():
        yield from range(3)
        raise OSError("torn")

    results = prefetch(lambda item: item, source())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="torn"):
        next(results)


def test_a_failure_of_the_work_is_raised_at_its_turn():
    results = prefetch(lambda item: 1 // item, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_gives_nothing():
    assert list(prefetch(lambda item: item, [])) == []
