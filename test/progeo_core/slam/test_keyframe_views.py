"""Features of keyframes are found in the background, and none is lost that counts as saved."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.images.depth_buffer import DepthBuffer, RawDepth
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.recorder import MapRecorder, NewPlace
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.records.records import read_records
from progeo_core.slam.keyframe_views import KeyframeViews
from progeo_core.verification.view_finder import DepthViewFinder


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return FeatureExtractor("cpu")


class Walk:
    """Keyframes of the office, written to a map one by one."""

    def __init__(self, office: Path, path: Path, fingerprint, extractor) -> None:
        self.records = read_records(office / "map.csv")
        self._intrinsics = read_calibration(office / "camera_info.yaml")
        self.recorder = MapRecorder.open(path, fingerprint, "")
        self.finder = DepthViewFinder(extractor, 200)
        self.depth = DepthBuffer()
        self.views = KeyframeViews(self.recorder, self.finder, {"front": self.depth})

    def add(self, row: int, *, view: bool = True) -> int:
        stamp_ns = int(self.records.stamp_ns[row])
        position = self.records.position[row]
        robot = BufferedPose(position, 0.0, 0)
        place = NewPlace(b"jpeg", np.eye(8, dtype=np.float32)[row % 8], robot, stamp_ns, "front")
        place_id = self.recorder.add(place)
        assert place_id is not None
        if view:
            image = read_image(self.records.images[row])
            frame = CameraFrame(image, stamp_ns, "front", self._intrinsics)
            pose = CameraPose(position, self.records.orientation[row])
            self.views.add(place_id, frame, pose)
        return place_id

    def see(self, row: int, **wrong: Any) -> None:
        """Add the depth beside an image."""
        values = cv2.imread(str(self.records.depth[row]), cv2.IMREAD_UNCHANGED)
        height, width = values.shape
        raw = RawDepth(values.tobytes(), height, width, "16UC1", 2 * width, False)
        self.depth.add(int(self.records.stamp_ns[row]), raw._replace(**wrong))


@pytest.fixture
def walk(office: Path, tmp_path: Path, fingerprint, extractor) -> Iterator[Walk]:
    made = Walk(office, tmp_path / "office.progeo", fingerprint, extractor)
    yield made
    made.recorder.close()


def test_keyframes_get_features_and_landmarks_where_depth_is(walk: Walk, tmp_path: Path) -> None:
    walk.see(0)
    first = walk.add(0)
    walk.see(1, encoding="rgb8")
    second = walk.add(1)
    # Half of the rows are no depth of the whole image.
    walk.see(2, height=90)
    walk.add(2)
    walk.views.finish()
    counts = walk.views.counts
    assert (counts.saved, counts.landmarks, counts.skipped) == (3, 1, 0)
    assert counts.depth_dropped == 2
    with PlaceMap.open(tmp_path / "office.progeo") as reader:
        reader.verify()
        with_depth, without = reader.views([first, second])
        assert reader.structure == walk.finder.note
    assert with_depth.features.has_landmark.mean() > 0.5
    np.testing.assert_allclose(with_depth.pose.position, walk.records.position[0])
    # Depth is along the optical axis, up to the walls of the office.
    inside = with_depth.pose.to_camera(with_depth.features.landmarks)[:, 2]
    assert np.nanmin(inside) > 0.1
    assert np.nanmax(inside) < 10.0
    assert len(without.features.points) == 200
    assert not without.features.has_landmark.any()


@pytest.fixture
def free(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make the finder wait until this is set."""
    free, find = threading.Event(), walk.finder.find

    def slow(*columns):
        free.wait()
        return find(*columns)

    monkeypatch.setattr(walk.finder, "find", slow)
    return free


def test_a_finder_that_is_slow_leaves_thumbnails(
    walk: Walk, free: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progeo_core.slam.keyframe_views._MAX_WAITING", 1 << 20)
    for row in range(5):
        walk.add(row)
    # A megabyte is one image and what is at work.
    assert walk.views.counts.skipped == 4
    free.set()
    walk.views.finish()
    assert (walk.recorder.saved, walk.views.counts.saved) == (5, 1)


def test_a_finder_that_is_slow_keeps_the_depth_of_what_waits(
    walk: Walk, free: threading.Event
) -> None:
    for row in range(3):
        walk.see(row)
        walk.add(row)
    last_ns = int(walk.records.stamp_ns[2])
    for number in range(1, 61):
        walk.depth.add(last_ns + 33_000_000 * number, RawDepth(b"", 0, 0, "16UC1", 0, False))
    free.set()
    walk.views.finish()
    assert walk.views.counts.landmarks == 3


def test_a_failure_ends_one_keyframe_only(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([MemoryError("all of it"), DataError("the disk is full")])
    write = walk.recorder.add_view

    def fail_twice(*arguments):
        for failure in failures:
            raise failure
        write(*arguments)

    monkeypatch.setattr(walk.recorder, "add_view", fail_twice)
    for row in range(3):
        walk.add(row)
    walk.views.finish()
    counts = walk.views.counts
    assert (counts.saved, counts.skipped, counts.fault) == (1, 2, "the disk is full")
