import importlib
from typing import Any

import numpy as np
import pytest

from progeo_core.errors import MissingDependencyError
from progeo_core.localization.pose_stream import OdomInMap
from progeo_core.poses.pose_messages import yaw_from_quaternion
from progeo_ros import tf2_topics
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.inputs.odometry import OdometryPose
from progeo_ros.outputs.map_to_odom import MapToOdom, transform_message

pytestmark = pytest.mark.slow  # every test waits for DDS

S = 1_000_000_000


def test_the_transform_leads_from_the_map_to_the_odometry_at_its_time() -> None:
    odometry = OdometryPose(5_000_000_007, (0.0, 0.0, 0.0), 0.0, "odom", "base_link")
    message = transform_message(OdomInMap(np.array([1.0, 2.0, 0.5]), 3.0), odometry, "map")
    assert (message.header.frame_id, message.child_frame_id) == ("map", "odom")
    assert stamp_to_ns(message.header.stamp) == 5_000_000_007
    translation = message.transform.translation
    assert (translation.x, translation.y, translation.z) == (1.0, 2.0, 3.0)
    assert yaw_from_quaternion(message.transform.rotation) == pytest.approx(0.5)


def test_each_correction_is_sent_with_every_odometry_dated_ahead(
    peer, tf2_messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tf2_messages
    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    monkeypatch.setattr(tf2_topics, "TFMessage", kind)
    sent = peer.collect(kind, "/tf", tf2_topics.TF_QOS)
    broadcaster = MapToOdom(peer.node, "map", 0.25)
    peer.wait_for(lambda: peer.node.count_subscribers("/tf"), "the listener")
    odometry = OdometryPose(5 * S, (0.0, 0.0, 0.0), 0.0, "odom", "base_link")
    broadcaster.broadcast(odometry)  # nothing is known yet
    for second, x in ((6, 1.0), (7, 3.0)):
        broadcaster.place(OdomInMap(np.array([x, 0.0, 0.0])))
        broadcaster.broadcast(odometry._replace(stamp_ns=second * S))
    peer.wait_for(lambda: len(sent) == 2, "both steps")
    found = [one.transforms[0] for one in sent]
    assert [stamp_to_ns(one.header.stamp) / S for one in found] == [6.25, 7.25]
    assert [one.transform.translation.x for one in found] == [1.0, 3.0]
    broadcaster.destroy()


def test_without_tf2_msgs_the_message_says_what_to_do(
    peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf2_topics, "TFMessage", None)
    with pytest.raises(MissingDependencyError, match="publish_map_to_odom needs tf2_msgs"):
        MapToOdom(peer.node, "map", 0.1)
