"""A bag, the real node in its own process, and DDS between them."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import write_bag
from progeo_core.images.codec import encode_jpeg, read_image
from progeo_core.records.records import Records, read_records
from test.ros_releases import BEFORE_KILTED

IMAGES = 25


@pytest.fixture(scope="module")
def queries(corridor: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Return query images at 640 x 480: raw, that is more than DDS sends without the profile."""
    records = read_records(corridor / "query.csv").select(np.arange(0, 4 * IMAGES, 4))
    folder = tmp_path_factory.mktemp("vga")
    paths = []
    for path in records.images:
        large = cv2.resize(read_image(path), (640, 480), interpolation=cv2.INTER_LINEAR)
        paths.append(folder / path.name)
        paths[-1].write_bytes(encode_jpeg(np.asarray(large, np.uint8)))
    return dataclasses.replace(records, images=tuple(paths))


def live_replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "progeo_ros.replay.live_replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
def test_every_image_is_answered_or_counted_and_keeps_its_stamp(
    queries: Records, corridor_map: Path, tmp_path: Path, compressed: bool
) -> None:
    bag, out = tmp_path / "bag", tmp_path / "answers.json"
    topic = "/camera/image_raw" + "/compressed" * compressed
    write_bag(bag, queries, rate_hz=10.0, compressed=compressed)
    done = live_replay(bag, "--map", corridor_map, "--image-topic", topic, "--out", out)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert result["schema"] == 1
    assert result["images"] == IMAGES == result["answered"] + result["dropped"]
    causes = result["dropped_by"]
    assert sum(causes.values()) == result["dropped"]
    assert causes["failed"] == causes["refused"] == 0
    # Those that newer ones pushed out of the queue.
    assert causes["unaccounted"] == 0 or BEFORE_KILTED
    with Bag(bag) as played:
        stamps = set(played.stamps(topic).tolist())
    answers = result["answers"]
    assert len(answers) == result["answered"] > 0
    assert {answer["stamp_ns"] for answer in answers} <= stamps
    assert len({answer["stamp_ns"] for answer in answers}) == len(answers)
    for answer in answers:
        assert answer["sent_ns"] < answer["answered_ns"]
        assert len(answer["covariance"]) == 36
        assert len(answer["position"]) == 3
        assert len(answer["place_ids"]) == len(answer["similarities"]) == 20
        assert 0.0 <= answer["confidence"] <= 1.0
        assert answer["state"] in {"LOCALIZED", "AMBIGUOUS", "LOST", "OFF_MAP"}


@pytest.mark.slow
def test_the_node_compares_views_if_asked_to(
    queries: Records, corridor_map: Path, tmp_path: Path
) -> None:
    bag, out = tmp_path / "bag", tmp_path / "answers.json"
    write_bag(bag, queries.select(slice(3, 6)), rate_hz=2.0)
    accepted = []
    for budget_ms in (0, 1000):
        done = live_replay(
            bag, "--map", corridor_map, "--image-topic", "/camera/image_raw", "--out", out,
            "--verification-ms", budget_ms, "--single",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers = json.loads(out.read_text(encoding="utf-8"))["answers"]
        accepted.append(sum(answer["accepted"] for answer in answers))
    assert accepted[1] > accepted[0]


@pytest.mark.slow
def test_a_bag_without_the_topic_is_refused_in_one_line(
    queries: Records, corridor_map: Path, tmp_path: Path
) -> None:
    bag, out = tmp_path / "bag", tmp_path / "answers.json"
    write_bag(bag, queries.select(np.arange(2)), rate_hz=10.0)
    done = live_replay(bag, "--map", corridor_map, "--image-topic", "/nothing", "--out", out)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "'/nothing' is not an image topic of this bag; image topics: /camera/image_raw" in line
    assert not out.exists()
