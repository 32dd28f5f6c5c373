import threading
from typing import Any

import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.depth_buffer import DepthBuffer, RawDepth

MS, S = 1_000_000, 1_000_000_000


def depth(millimetres: int, **wrong: Any) -> RawDepth:
    values = np.full((4, 6), millimetres, "<u2")
    return RawDepth(values.tobytes(), 4, 6, "16UC1", 12, False)._replace(**wrong)


def test_the_nearest_depth_within_a_frame_counts() -> None:
    buffer = DepthBuffer()
    assert buffer.at(S) is None
    for number in range(10):
        buffer.add(S + 33 * number * MS, depth(1000 + number))
    found = buffer.at(S + 70 * MS)
    assert found is not None
    np.testing.assert_allclose(found.metres(), 1.002)
    assert buffer.at(S - 51 * MS) is None
    assert buffer.at(2 * S) is None
    assert buffer.received == 10


def test_depth_may_come_later_than_its_image() -> None:
    buffer = DepthBuffer()
    buffer.add(S - 30 * MS, depth(1))
    assert buffer.now(S) is None
    sender = threading.Thread(target=buffer.add, args=(S, depth(2000)))
    sender.start()
    found = buffer.at(S, patience_s=60.0)
    sender.join()
    assert found is not None
    np.testing.assert_allclose(found.metres(), 2.0)
    assert buffer.now(S) is found


def test_only_a_second_of_depth_is_in_memory() -> None:
    buffer = DepthBuffer()
    for number in range(100):
        buffer.add(S + 33 * number * MS, depth(1000))
    assert buffer.at(S) is None
    assert buffer.at(S + 33 * 99 * MS) is not None


def test_time_that_starts_again_forgets_the_run_before() -> None:
    buffer = DepthBuffer()
    buffer.add(100 * S, depth(1000))
    buffer.add(S, depth(3000))
    assert buffer.at(100 * S) is None
    assert buffer.at(S) is not None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"encoding": "rgb8"}, "encoding 'rgb8' is not depth: use one of 16UC1"),
        ({"height": 5}, "too few for its size"),
        ({"step": 3}, "with step 3"),
    ],
)
def test_what_is_no_depth_is_found_when_it_is_decoded(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ImageError, match=complaint):
        depth(1000, **wrong).metres()
