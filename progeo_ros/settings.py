"""The settings of the nodes themselves; those of the core are in progeo_core."""

from __future__ import annotations

import dataclasses
from typing import Any

from progeo_core.images.size_limit import MAX_PIXELS
from progeo_core.settings import Settings, setting

# Name of the localizer node.
NODE = "progeo_localizer"


def _transform_tolerance() -> Any:
    """Declare what both nodes that broadcast map → odom have."""
    return setting(
        0.1,
        "Time (s) by which tf map → odom is dated ahead of the odometry, so that sensors newer than"
        " the last odometry find it",
        low=0.0,
        high=10.0,
    )


@dataclasses.dataclass(frozen=True)
class NodeSettings(Settings):
    """Map, model, cameras and outputs of the localizer node."""

    map: str = setting("", "Path of the map file, NAME.progeo")
    model: str = setting(
        "",
        "Model that made the map: a built-in name, a model folder, CLIP-BACKBONE:PRETRAINED,"
        " hf:FOLDER, a preset such as megaloc, onnx:FILE, py:MODULE:FACTORY or"
        " hub:OWNER/REPO[@REVISION]:ENTRY; empty takes what the map names, or mobilenetv2-gem where"
        " there is no map yet",
    )
    fleet_uri: str = setting(
        "",
        "Store of a fleet's map: a folder, s3://BUCKET/PATH, gs:// or az://. The node localizes in"
        " the region around the robot and shares the keyframes of mapping; empty for none",
    )
    trust_code: bool = setting(
        False,
        "Run the code of the model's authors with the node's rights, which presets, py: and hub:"
        " need",
    )
    device: str = setting("auto", "Where the model runs: auto, cpu, cuda, cuda:1, …")
    runtime: str = setting(
        "auto",
        "What runs the model; auto is the faster of torch and onnx that agrees with torch,"
        " measured once per machine and model",
        choices=("auto", "torch", "onnx", "tensorrt"),
    )
    index_memory_mb: int = setting(
        256,
        "Memory (MB) that the search index of the map may take; less means shorter codes",
        low=1,
        high=1_000_000,
    )
    cameras: tuple[str, ...] = setting(
        ("image",), "Image topics, one per camera, without the transport's suffix"
    )
    image_transport: str = setting(
        "raw",
        "raw subscribes to sensor_msgs/Image on TOPIC, compressed to CompressedImage on"
        " TOPIC/compressed",
        choices=("raw", "compressed"),
    )
    depth_topics: tuple[str, ...] = setting(
        ("",),
        "Depth beside each camera, for 3-D points of keyframes, one topic per camera: raw"
        " sensor_msgs/Image in 16UC1 (mm) or 32FC1 (m), registered to the image; empty for none",
    )
    image_reliability: str = setting(
        "auto",
        "Reliability of the image subscriptions; auto is that of the publishers: best effort if one"
        " of them is",
        choices=("auto", "best_effort", "reliable"),
    )
    image_depth: int = setting(
        10, "Images that DDS keeps until the node takes them", low=1, high=1000
    )
    max_image_megapixels: float = setting(
        MAX_PIXELS / 1e6,
        "Largest image (million pixels); larger ones are dropped before they are decoded",
        low=0.01,
        high=1000.0,
    )
    image_timeout_s: float = setting(
        5.0, "Silence of a camera (s) after which diagnostics warn", low=0.1, high=3600.0
    )
    map_frame: str = setting("map", "Frame of the poses: metres east, north, up of the datum")
    base_frame: str = setting("base_link", "Frame of the robot, whose pose is published")
    camera_extrinsics: tuple[str, ...] = setting(
        ("",),
        "Where each camera is on the robot, one text per camera: x y z qx qy qz qw of its optical"
        " frame (x right, y down, z forward) in base_frame, as tf2_echo shows it; an empty text"
        " takes it from /tf_static and the frame_id of the images",
    )
    publish_map_to_odom: bool = setting(
        False, "Broadcast tf map → odom from accepted answers and the odom topic; needs tf2_msgs"
    )
    transform_tolerance: float = _transform_tolerance()
    mapping: bool = setting(
        False, "Write keyframes to the map from the start; ~/set_mapping does it at any time"
    )
    mapping_reference: str = setting(
        "odometry",
        "Where keyframes are in the map: the odometry, or a reference topic: pose_reference"
        " (PoseStamped, PoseWithCovarianceStamped or Odometry), fix_reference (NavSatFix), or tf:"
        " base_frame in map_frame by /tf and /tf_static",
        choices=("odometry", "pose", "pose_with_covariance", "odometry_reference", "fix", "tf"),
    )
    close_loops: bool = setting(
        False,
        "Publish on ~/loop_closure where the robot has been before in this session; needs odometry",
    )


@dataclasses.dataclass(frozen=True)
class PoseGraphNodeSettings(Settings):
    """Inputs and outputs of the pose graph node."""

    map_frame: str = setting("map", "Frame of the corrected poses")
    use_pose: bool = setting(
        False,
        "Use the poses in a map that come on the pose topic, too; without them, the corrected frame"
        " starts where the odometry does",
    )
    period_s: float = setting(
        1.0, "Seconds between corrections, if there is something new", low=0.05, high=60.0
    )
    publish_map_to_odom: bool = setting(
        False, "Broadcast tf map → odom from the corrected trajectory; needs tf2_msgs"
    )
    transform_tolerance: float = _transform_tolerance()


@dataclasses.dataclass(frozen=True)
class PoseRelayNodeSettings(Settings):
    """Outputs of the pose relay."""

    base_frame: str = setting("base_link", "Frame of the robot, which global_pose is the pose of")
