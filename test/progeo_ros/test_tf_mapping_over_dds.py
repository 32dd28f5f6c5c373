"""A map from a SLAM run that has its poses in tf alone, by the real node in its own process."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image

from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import Records
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.tf2_topics import STATIC_QOS, TF, TF_QOS, TF_STATIC
from test.office_robot import image_message
from test.progeo_ros.inputs.test_transform_reference import link

pytestmark = pytest.mark.slow  # waits for a process that loads a network

START_S = 1_600_000_000.0


def test_keyframes_are_where_tf_has_the_robot(
    peer, tf2_messages, places: Records, small_model: Path, tmp_path: Path
) -> None:
    del tf2_messages
    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    path = tmp_path / "slam.progeo"
    parameters = {
        "map": path,
        "model": small_model,
        "device": "cpu",
        "runtime": "torch",
        "cameras": ["/front"],
        "image_reliability": "reliable",
        "mapping": True,
        "mapping_reference": "tf",
        "keyframes.features": 0,
    }
    tf = peer.node.create_publisher(kind, TF, TF_QOS)
    static = peer.node.create_publisher(kind, TF_STATIC, STATIC_QOS)
    static.publish(kind(transforms=[link(0, "base_footprint", "base_link", 0.5)]))
    camera = peer.node.create_publisher(Image, "/front", 10)
    health = peer.watch()
    with LocalizerProcess(parameters) as process:
        process.activate(peer.node, peer.executor)
        words = "mapping waits for transforms: /tf does not connect 'base_link' with 'map'"
        peer.wait_for(lambda: words in health.status("drive").message, "the advice")
        second = START_S

        def map_at(metre: int) -> None:
            """Drive on, and send images until one is a keyframe there."""
            nonlocal second
            before = int(health.values("drive")["saved"])

            def is_saved() -> bool:
                nonlocal second
                second += 1.0
                odometry = link(second, "odom", "base_footprint", 2.0 * metre)
                tf.publish(kind(transforms=[link(second, "map", "odom", 10.0), odometry]))
                stamp_ns = round(second * 1e9)
                camera.publish(image_message(places.images[metre], stamp_ns, "camera"))
                for _ in range(20):
                    peer.executor.spin_once(timeout_sec=0.1)
                    if int(health.values("drive")["saved"]) > before:
                        return True
                return False

            peer.wait_for(is_saved, f"keyframe {metre}")

        for metre in range(3):
            map_at(metre)
    with PlaceMap.open(path) as place_map:
        position = place_map.poses().position
    np.testing.assert_allclose(position[:3, 0], [10.5, 12.5, 14.5], atol=1e-6)
    for publisher in (tf, static, camera):
        peer.node.destroy_publisher(publisher)
