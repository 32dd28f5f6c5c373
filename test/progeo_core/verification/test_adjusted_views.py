import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.adjusted_views import (
    adjusted_tracks,
    adjusted_views,
    moved_back,
    pose_errors,
)
from progeo_core.verification.feature_tracks import FeatureTracks
from test.known_views import camera, make_scene, moved


class Everyone:
    """Neighbours of a place: all the others."""

    def of(self, row):
        return np.array([other for other in range(6) if other != row])


def test_a_pose_that_is_wrong_by_centimetres_is_moved_back():
    scene = make_scene()
    truth = [camera(scene, [0.4 * row, 0.1 * row, 0.2 * row], 2, 0.3, row) for row in range(6)]
    views = list(truth)
    views[3] = moved(views[3], truth[3].pose.position + np.array([0.0, 0.02, 0.0]))
    tracks = FeatureTracks(Everyone().of, lambda row: views[row])
    found = adjusted_views(lambda row: views[row], {row: tracks.of(row) for row in range(6)})
    assert sorted(found) == list(range(6))
    offset = found[3].pose.position - truth[3].pose.position
    others = [found[row].pose.position - truth[row].pose.position for row in (0, 1, 2, 4, 5)]
    assert np.linalg.norm(offset - np.mean(others, axis=0)) < 0.008


def test_places_that_see_nothing_of_each_other_are_left_alone():
    scene = make_scene()
    views = [camera(scene, [0.0, 0.0, 0.0], 0, 0.3, row) for row in range(6)]
    tracks = FeatureTracks(Everyone().of, lambda row: views[row])
    assert adjusted_views(lambda row: views[row], {0: tracks.of(0)}) == {}
    assert adjusted_views(lambda row: views[row], {}) == {}


def test_points_of_views_that_drifted_together_are_moved_back():
    scene = make_scene()
    given = [camera(scene, [0.4 * row, 0.1 * row, 0.2 * row], 2, 0.3, row) for row in range(4)]
    turn, shift = Rotation.from_rotvec([0.01, -0.02, 0.03]).as_matrix(), np.array([0.1, 0.0, -0.2])
    drifted = []
    for view in given:
        pose = CameraPose(turn @ view.pose.position + shift, quaternion_of(turn @ view.rotation))
        drifted.append(view._replace(pose=pose, rotation=turn @ view.rotation))
    points = scene.points @ turn.T + shift
    np.testing.assert_allclose(moved_back(points, drifted, given), scene.points, atol=1e-9)
    np.testing.assert_allclose(moved_back(scene.points, given, given), scene.points, atol=1e-9)


def test_rough_poses_are_adjusted_by_matches_farther_from_where_they_expect_them():
    scene, random = make_scene(), np.random.default_rng(0)
    truth = [camera(scene, [0.4 * row, 0.1 * row, 0.2 * row], 2, 0.3, row) for row in range(6)]
    views = []
    for view in truth:
        turn = Rotation.from_rotvec(random.normal(0.0, 0.01, 3)).as_matrix() @ view.rotation
        pose = CameraPose(view.pose.position, quaternion_of(turn))
        views.append(view._replace(pose=pose, rotation=turn))
    given = FeatureTracks(Everyone().of, lambda row: views[row])
    before = given.of_all(range(6))
    assert np.median([one.agreement for one in before.values()]) < 0.6
    tracks, found = adjusted_tracks(given, list(range(6)))
    for row in range(6):
        assert (tracks[row].agreement > 0.9).all()
        turns = (
            found[0].rotation.T @ found[row].rotation,
            truth[0].rotation.T @ truth[row].rotation,
        )
        assert Rotation.from_matrix(turns[0].T @ turns[1]).magnitude() < 0.003


def test_the_errors_of_rough_poses_are_those_that_images_tell():
    scene, random = make_scene(), np.random.default_rng(1)
    truth = [camera(scene, [0.4 * row, 0, 0], 2, 0.3, row) for row in range(16)]
    offsets = random.normal(0.0, 0.05, (16, 3))
    given = []
    for view, offset in zip(truth, offsets, strict=True):
        turn = Rotation.from_rotvec(random.normal(0.0, 0.01, 3)).as_matrix() @ view.rotation
        pose = CameraPose(view.pose.position + offset, quaternion_of(turn))
        given.append(view._replace(pose=pose, rotation=turn))
    errors = pose_errors(truth, given)
    assert 0.035 < errors.position_m < 0.06
    assert 0.007 < errors.turn_rad < 0.012
    assert max(pose_errors(truth, truth)) < 1e-7
