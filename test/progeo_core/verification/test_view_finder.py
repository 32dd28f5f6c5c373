import numpy as np
import pytest

from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.images.depth import read_depth
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.records.records import read_records
from progeo_core.verification.view_finder import DepthViewFinder


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("cpu")


@pytest.fixture
def finder(extractor):
    return DepthViewFinder(extractor)


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


def test_a_calibration_of_other_images_is_said_once_and_counted(finder, place, caplog):
    image, depth, pose, intrinsics = place
    for view in finder.find([image[:, :300]] * 2, [depth] * 2, [pose] * 2, [intrinsics] * 2):
        assert len(view.features.points) == PLACE_FEATURES
        assert not view.features.has_landmark.any()
        assert view.intrinsics is None
    assert finder.faults.total() == 2
    assert caplog.text.count("540x360") == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda depth: depth[:, :180], "register it to the image"),
        (lambda depth: depth / 1000.0, "its values look like metres"),
    ],
)
def test_depth_that_cannot_be_that_of_the_image_is_counted(finder, place, change, reason):
    image, depth, pose, intrinsics = place
    (view,) = finder.find([image], [change(depth)], [pose], [intrinsics])
    assert view.intrinsics == intrinsics
    assert not view.features.has_landmark.any()
    assert reason in "".join(finder.faults)
    assert finder.note.source == ""


def test_the_note_names_depth_once_it_gave_landmarks(finder, place):
    image, depth, pose, intrinsics = place
    finder.find([image], [None], [pose], [intrinsics])
    assert finder.note.source == ""
    finder.find([image], [depth], [pose], [intrinsics])
    assert finder.note.source == "depth"


def test_places_that_may_be_triangulated_have_more_to_choose_from(extractor, place):
    image, depth, pose, intrinsics = place
    finder = DepthViewFinder(extractor, 100, 200)
    columns = [depth, None, None], [pose, pose, None], [intrinsics] * 3
    counts = [len(view.features.points) for view in finder.find([image] * 3, *columns)]
    assert counts == [100, 200, 100]
