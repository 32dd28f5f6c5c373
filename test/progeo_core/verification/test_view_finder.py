import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.images.depth import read_depth
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.records.records import read_records
from progeo_core.verification.feature_extractor import FeatureExtractor
from progeo_core.verification.view_finder import DepthViewFinder


@pytest.fixture(scope="module")
def finder():
    return DepthViewFinder(FeatureExtractor("cpu"))


@pytest.fixture(scope="module")
def place(office):
    records = read_records(office / "map.csv")
    row = len(records) - 1
    return (
        read_image(records.images[row]),
        read_depth(office / "depth" / f"{records.images[row].stem}.png"),
        CameraPose(records.position[row], records.orientation[row]),
        read_calibration(office / "camera_info.yaml"),
    )


def test_landmarks_project_onto_their_points(finder, place):
    image, depth, pose, intrinsics = place
    (view,) = finder.find([image], [depth], [pose], [intrinsics])
    features = view.features
    assert len(features.points) == PLACE_FEATURES
    known = features.has_landmark
    assert known.mean() > 0.5
    projected = intrinsics.pixels(pose.to_camera(features.landmarks[known]))
    np.testing.assert_allclose(projected, features.points[known], atol=1e-2)
    assert (features.sigma_m[known] > 0.0).all()
    assert np.isnan(features.sigma_m[~known]).all()


@pytest.mark.parametrize("missing", ["depth", "pose", "calibration"])
def test_without_one_of_them_there_are_features_but_no_landmarks(finder, place, missing):
    image, depth, pose, intrinsics = place
    columns = {"depth": [depth], "pose": [pose], "calibration": [intrinsics]}
    columns[missing] = [None]
    (view,) = finder.find([image], *columns.values())
    assert len(view.features.points) == PLACE_FEATURES
    assert not view.features.has_landmark.any()


def test_a_calibration_of_other_images_is_refused(finder, place):
    image, depth, pose, intrinsics = place
    with pytest.raises(UsageError, match="540"):
        finder.find([image[:, :300]], [depth], [pose], [intrinsics])
