"""Depth beside the images of a bag: matched in time, decoded in any order, damaged."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from progeo_core.bags.depth_topic import match_depths, read_depths
from progeo_core.bags.reader import Bag
from progeo_core.errors import DataError
from test.progeo_core.bags.test_reader import SECOND, START, at, make_bag


def depth(seconds: float, metres: float, encoding: str = "16UC1") -> Image:
    pixels = np.full((2, 3), 1000 * metres, np.uint16)
    data = pixels.tobytes()
    return at(Image(height=2, width=3, encoding=encoding, step=6, data=data), seconds)


def recorded(path: Path, seconds: Sequence[float]) -> Path:
    messages = [
        ("/depth", 0.1 * row, depth(one, metres=row + 1)) for row, one in enumerate(seconds)
    ]
    messages += [("/packed", 0.0, at(CompressedImage(format="16UC1; compressedDepth png"), 0.0))]
    return make_bag(path, messages)


def stamps(*seconds: float) -> np.ndarray:
    return START + np.rint(np.array(seconds) * SECOND).astype(np.int64)


def test_the_nearest_depth_within_a_twentieth_of_a_second_counts(tmp_path: Path, caplog) -> None:
    # Recorded out of order, as drivers with several threads do.
    with Bag(recorded(tmp_path / "bag", [1.0, 1.2, 1.1])) as bag:
        rows = match_depths(bag, "/depth", stamps(0.96, 1.01, 1.09, 1.16, 1.24, 1.26, 0.9))
    assert rows.tolist() == [0, 0, 2, 1, 1, -1, -1]
    assert "2 of 7 images have no depth of '/depth' within 0.05 s" in caplog.text


def test_one_depth_may_be_all_there_is(tmp_path: Path) -> None:
    with Bag(recorded(tmp_path / "bag", [1.0])) as bag:
        assert match_depths(bag, "/depth", stamps(1.0, 1.04)).tolist() == [0, 0]


def test_other_topics_and_other_clocks_are_refused(tmp_path: Path) -> None:
    with Bag(recorded(tmp_path / "bag", [1.0, 1.1])) as bag:
        with pytest.raises(DataError, match=r"all 2 images have no depth .* by the same clock"):
            match_depths(bag, "/depth", stamps(50.0, 51.0))
        with pytest.raises(DataError, match=r"'/packed' is .* compressedDepth is not read"):
            match_depths(bag, "/packed", stamps(1.0))
        with pytest.raises(DataError, match="there is no topic '/deep'"):
            match_depths(bag, "/deep", stamps(1.0))


def test_depths_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", [1.0, 1.1, 1.2, 1.3, 1.4])
    rows = np.array([1, -1, 0, 3, 3, 1, 4])
    found = [None if one is None else float(one[0, 0]) for one in read_depths(path, "/depth", rows)]
    assert found == [2.0, None, 1.0, 4.0, 4.0, 2.0, 5.0]


def test_depths_that_wait_too_long_are_let_go(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", [1.0 + 0.1 * row for row in range(60)])
    found = list(read_depths(path, "/depth", np.arange(60)[::-1]))
    assert len(found) == 60
    assert [one is None for one in found] == [False] * 32 + [True] * 28


def test_damaged_depth_is_none_and_counted(tmp_path: Path, caplog) -> None:
    messages = [("/depth", 0.0, depth(1.0, 1.0)), ("/depth", 0.1, depth(1.1, 1.0, "rgb8"))]
    path = make_bag(tmp_path / "bag", messages)
    found = list(read_depths(path, "/depth", np.array([0, 1, 7])))
    assert [one is None for one in found] == [False, True, True]
    assert "1 depth images are left out, first: /depth@" in caplog.text
