import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.node import Node

from progeo_core.errors import MissingDependencyError
from progeo_ros.inputs.odometry import PlanarPose
from progeo_ros.outputs.map_to_odom import MapToOdom, map_to_odom

METRES = st.floats(-1e3, 1e3)
POSES = st.builds(PlanarPose, METRES, METRES, METRES, st.floats(-math.pi, math.pi))


def compose(first: PlanarPose, second: PlanarPose) -> PlanarPose:
    sine, cosine = math.sin(first.yaw), math.cos(first.yaw)
    return PlanarPose(
        first.x + cosine * second.x - sine * second.y,
        first.y + sine * second.x + cosine * second.y,
        first.z + second.z,
        first.yaw + second.yaw,
    )


@given(POSES, POSES)
def test_map_to_odom_then_odometry_is_the_answer(in_map: PlanarPose, in_odom: PlanarPose) -> None:
    found = compose(map_to_odom(in_map, in_odom), in_odom)
    assert found[:3] == pytest.approx(in_map[:3], abs=1e-6)
    assert math.cos(found.yaw - in_map.yaw) == pytest.approx(1.0)


def test_an_unknown_yaw_gives_no_transform() -> None:
    unknown = PlanarPose(1.0, 2.0, 0.0, math.nan)
    assert math.isnan(map_to_odom(unknown, PlanarPose(0.0, 0.0, 0.0, 0.0)).yaw)


def test_without_tf2_ros_the_message_says_what_to_do(peer) -> None:
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match="publish_map_to_odom needs tf2_ros"):
            MapToOdom(peer.node, "map")
    else:
        assert isinstance(peer.node, Node)
        MapToOdom(peer.node, "map")
