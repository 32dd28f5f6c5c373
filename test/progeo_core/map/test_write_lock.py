import resource
import threading

import pytest

from progeo_core.errors import DataError
from progeo_core.map.write_lock import MapLock


def test_released_lock_leaves_no_file(tmp_path):
    path = tmp_path / "a.progeo"
    lock = MapLock(path)
    with pytest.raises(DataError, match="is writing this map"):
        MapLock(path)
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    MapLock(path).release()


def test_lock_of_a_file_just_removed_is_worth_nothing(tmp_path):
    # Many threads take and remove the file; whoever holds it must be alone.
    path = tmp_path / "a.progeo"
    alone = threading.Lock()
    taken, shared = [], []

    def work():
        for _ in range(300):
            try:
                lock = MapLock(path)
            except DataError:
                continue
            if alone.acquire(blocking=False):
                taken.extend(path.parent.iterdir())
                alone.release()
            else:
                shared.append(1)
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken
    assert not shared


def test_lock_holds_on_a_full_disk_without_a_name(tmp_path):
    path = tmp_path / "a.progeo"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        lock = MapLock(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(DataError, match="process unknown is writing this map"):
        MapLock(path)
    lock.release()
    assert list(tmp_path.iterdir()) == []
