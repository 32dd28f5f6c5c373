import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.poses.transform import Transform
from progeo_ros import tf2_topics
from progeo_ros.inputs.camera_mounts import CameraMounts, given_extrinsics, one_per_camera
from progeo_ros.settings import NodeSettings

AHEAD = "0.2 0 0.5 -0.5 0.5 -0.5 0.5"
TOPICS = ("/front", "/rear")


def test_the_parameter_has_a_pose_per_camera() -> None:
    given = given_extrinsics(NodeSettings(camera_extrinsics=(AHEAD, "")), TOPICS)
    assert set(given) == {"/front"}
    assert given["/front"].position.tolist() == [0.2, 0.0, 0.5]
    assert given_extrinsics(NodeSettings(), TOPICS) == {}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ((AHEAD,), "camera_extrinsics has 1 values for 2 cameras: give one for each camera"),
        (("", "0 0 0"), "parameter camera_extrinsics: '0 0 0' is not the pose of a camera"),
    ],
)
def test_other_parameters_are_refused(values: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        given_extrinsics(NodeSettings(camera_extrinsics=values), TOPICS)


def test_one_empty_value_serves_all_cameras() -> None:
    assert one_per_camera("depth_topics", [""], TOPICS) == {}
    assert one_per_camera("depth_topics", ["", "/depth"], TOPICS) == {"/rear": "/depth"}


def test_the_parameter_comes_first_and_transforms_serve_the_rest(peer, monkeypatch) -> None:
    monkeypatch.setattr(tf2_topics, "TFMessage", None)
    given = given_extrinsics(NodeSettings(camera_extrinsics=(AHEAD, "")), TOPICS)
    mounts = CameraMounts(peer.node, "base_link", given, len(TOPICS))
    assert mounts.of("/front", "anything") is given["/front"]
    assert mounts.of("/rear", "rear_optical") is None
    assert "tf2_msgs is not installed" in mounts.problem("rear_optical")
    assert mounts._transforms is not None
    turned = Transform(np.array([-0.3, 0.0, 0.4]), np.array([0.5, 0.5, -0.5, -0.5]))
    mounts._transforms.frames.add("base_link", "rear_optical", turned)
    found = mounts.of("/rear", "/rear_optical")
    assert found is not None
    np.testing.assert_allclose(found.position, [-0.3, 0.0, 0.4])
    mounts.destroy()
