import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.poses.transform import IDENTITY, FrameTree, Transform, level_quaternion


def transform(x: float, y: float, z: float, *degrees: float) -> Transform:
    turn = Rotation.from_euler("xyz", degrees or (0.0, 0.0, 0.0), degrees=True)
    return Transform(np.array([x, y, z]), turn.as_quat())


def assert_same(found: Transform | None, expected: Transform) -> None:
    assert found is not None
    np.testing.assert_allclose(found.position, expected.position, atol=1e-12)
    assert abs(found.orientation @ expected.orientation) == pytest.approx(1.0)


def test_a_step_along_the_turned_axes() -> None:
    ahead = transform(1.0, 0.0, 0.0).then(transform(0.0, 0.0, 2.0))
    assert_same(ahead, transform(1.0, 0.0, 2.0))
    left = transform(1.0, 0.0, 0.0, 0.0, 0.0, 90.0).then(transform(2.0, 0.0, 0.0, 0.0, 0.0, 45.0))
    assert_same(left, transform(1.0, 2.0, 0.0, 0.0, 0.0, 135.0))


def test_what_is_undone_is_nothing() -> None:
    pose = transform(1.0, -2.0, 3.0, 10.0, -20.0, 130.0)
    assert_same(pose.then(pose.inverse()), IDENTITY)
    assert_same(pose.inverse().then(pose), IDENTITY)


@pytest.fixture
def robot() -> FrameTree:
    """Return the frames of a robot: a camera on a mast, and a footprint under its base."""
    tree = FrameTree()
    assert tree.add("base_footprint", "base_link", transform(0.0, 0.0, 0.1))
    assert tree.add("base_link", "mast", transform(0.2, 0.0, 1.0, 0.0, 0.0, 90.0))
    assert tree.add("mast", "camera", transform(0.3, 0.0, 0.0, -90.0, 0.0, -90.0))
    return tree


def test_poses_follow_a_chain_in_both_directions(robot: FrameTree) -> None:
    mast = transform(0.2, 0.0, 1.0, 0.0, 0.0, 90.0)
    camera = mast.then(transform(0.3, 0.0, 0.0, -90.0, 0.0, -90.0))
    assert_same(robot.pose("camera", "base_link"), camera)
    np.testing.assert_allclose(camera.position, [0.2, 0.3, 1.0])
    assert_same(robot.pose("base_link", "camera"), camera.inverse())
    assert_same(robot.pose("camera", "base_footprint"), transform(0.0, 0.0, 0.1).then(camera))
    assert_same(robot.pose("camera", "camera"), IDENTITY)


def test_two_branches_meet_below_the_root(robot: FrameTree) -> None:
    robot.add("base_link", "laser", transform(0.5, 0.0, 0.2))
    assert_same(robot.pose("laser", "mast"), transform(0.0, -0.3, -0.8, 0.0, 0.0, -90.0))


def test_nothing_is_made_up(robot: FrameTree) -> None:
    assert robot.pose("camera", "map") is None
    robot.add("odom", "other_base", IDENTITY)
    assert robot.pose("camera", "other_base") is None


def test_a_newer_pose_takes_the_place_of_an_older_one(robot: FrameTree) -> None:
    robot.add("base_link", "mast", IDENTITY)
    assert_same(robot.pose("mast", "base_link"), IDENTITY)


def test_no_message_breaks_the_tree(robot: FrameTree) -> None:
    nan = Transform(np.full(3, np.nan), IDENTITY.orientation)
    zero = Transform(np.zeros(3), np.zeros(4))
    far = Transform(np.full(3, 1e308), IDENTITY.orientation)
    tiny, huge = (Transform(np.zeros(3), np.full(4, size)) for size in (1e-320, 1e308))
    for parent, child, pose in (
        ("base_link", "camera", nan),
        ("base_link", "camera", zero),
        ("base_link", "camera", far),
        ("base_link", "camera", tiny),
        ("base_link", "camera", huge),
        ("base_link", "base_link", IDENTITY),
        ("", "camera", IDENTITY),
    ):
        assert not robot.add(parent, child, pose)
    # A circle of frames ends.
    robot.add("camera", "base_footprint", IDENTITY)
    assert robot.pose("camera", "nowhere") is None
    assert robot.pose("camera", "base_link") is not None


def test_a_level_robot_is_turned_by_its_yaw_alone() -> None:
    np.testing.assert_allclose(level_quaternion(np.pi), [0.0, 0.0, 1.0, 0.0], atol=1e-12)
    turned = Transform(np.zeros(3), level_quaternion(0.3))
    assert turned.heading_rad == pytest.approx(0.3)
    np.testing.assert_array_equal(level_quaternion(np.nan), [0.0, 0.0, 0.0, 1.0])
