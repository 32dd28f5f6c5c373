from typing import Any

import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import (
    StructureNote,
    descriptor_bytes,
    fault_of,
    joined_structure,
    pose_errors_in_words,
    rough_poses,
    unit_descriptors,
)
from test.place_views import make_view


def fault_with(**columns):
    """Return the fault of a view whose features have other columns."""
    view = make_view(np.zeros(3))
    return str(fault_of(view._replace(features=view.features._replace(**columns))))


def test_what_a_camera_sees_is_sound():
    assert fault_of(make_view(np.array([1.0, 2.0, 3.0]))) is None
    assert fault_of(make_view(np.zeros(3), count=0)) is None


BAD_FEATURES: dict[str, dict[str, Any]] = {
    "shapes": {"points": np.zeros((19, 2), np.float32)},
    "not int8": {"descriptors": np.zeros((20, 64), np.float32)},
    "not positive": {"size": (0, 480)},
    "not all in its image": {"points": np.full((20, 2), 700.0, np.float32)},
    "3-D points are not finite": {"landmarks": np.full((20, 3), np.inf)},
    "standard deviations": {"sigma_m": np.full(20, -1.0, np.float32)},
}


@pytest.mark.parametrize("message", BAD_FEATURES)
def test_features_that_are_none_are_named(message):
    assert message in fault_with(**BAD_FEATURES[message])


def test_a_landmark_is_known_whole_or_not_at_all():
    landmarks = np.zeros((20, 3))
    landmarks[3, 1] = np.nan
    assert "3-D points are not finite" in fault_with(landmarks=landmarks)


def test_poses_and_calibrations_of_no_camera_are_named():
    view = make_view(np.zeros(3))
    for pose in (
        view.pose._replace(position=np.array([0.0, np.nan, 0.0])),
        view.pose._replace(orientation=np.zeros(4)),
        view.pose._replace(orientation=np.array([0.0, 0.0, np.nan, 1.0])),
    ):
        assert "the pose of its camera" in str(fault_of(view._replace(pose=pose)))
    zeros = Intrinsics(640, 480, 0.0, 0.0, 0.0, 0.0)
    assert "calibration" in str(fault_of(view._replace(intrinsics=zeros)))


def test_a_position_without_an_orientation_is_a_pose():
    view = make_view(np.zeros(3))
    unknown = view.pose._replace(orientation=np.full(4, np.nan))
    assert fault_of(view._replace(pose=unknown)) is None


def test_notes_of_one_extractor_are_joined():
    one, other = StructureNote("a-1", "depth"), StructureNote("a-1", "triangulated")
    assert joined_structure(None, one) == one
    both = joined_structure(one, other)
    assert both == joined_structure(both, one) == StructureNote("a-1", "depth; triangulated")
    with pytest.raises(UsageError, match="a-1 and of b-2 cannot be compared"):
        joined_structure(one, StructureNote("b-2", "depth"))


def test_descriptors_in_8_bits_are_of_unit_length_again():
    descriptors = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    found = unit_descriptors(descriptor_bytes(descriptors))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    assert (found * descriptors).sum(axis=1).min() > 0.999
    # One that is all zero has no direction.
    assert not unit_descriptors(np.zeros((1, 64), np.int8)).any()


def test_a_note_says_how_rough_poses_are():
    assert rough_poses("xfeat", "triangulated", 0.01, 0.003) == ("xfeat", "triangulated", (0, 0))
    slight = rough_poses("xfeat", "triangulated", 0.014, 0.002)
    rough = rough_poses("xfeat", "again", 0.05, 0.01)
    assert slight.source == "triangulated whose poses err by 0.014 m and 0.11°"
    for joined in (joined_structure(slight, rough), joined_structure(rough, slight)):
        assert joined.pose_errors == (0.05, 0.01)
    # As maps of before said it, of several parts.
    errors = pose_errors_in_words(f"depth; {slight.source}; {rough.source}")
    assert errors == pytest.approx((0.05, 0.01), abs=1e-4)
    assert pose_errors_in_words("depth") == (0.0, 0.0)
