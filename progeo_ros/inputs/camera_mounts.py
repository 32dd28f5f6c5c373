"""Where every camera is mounted on the robot: from a parameter, or from static transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rclpy.node import Node

from progeo_core.errors import UsageError
from progeo_core.poses.extrinsics import Extrinsics
from progeo_ros.inputs.static_transforms import StaticTransforms
from progeo_ros.settings import NodeSettings
from progeo_ros.tf2_topics import TF_STATIC


class CameraMounts:
    """Extrinsics of the cameras of one robot; those of the parameter come first."""

    def __init__(
        self, node: Node, base_frame: str, given: Mapping[str, Extrinsics], cameras: int
    ) -> None:
        """Listen to `/tf_static` where `given` lacks some of the cameras, by topic."""
        self._node, self._base_frame, self._given = node, base_frame, given
        self._transforms = StaticTransforms(node) if len(given) < cameras else None
        self._told: set[str] = set()

    def of(self, topic: str, camera_frame: str) -> Extrinsics | None:
        """Return where the camera of a topic is; camera_frame: of its images, an optical frame."""
        if topic in self._given:
            return self._given[topic]
        if self._transforms is None:
            return None
        found = self._transforms.frames.pose(camera_frame.lstrip("/"), self._base_frame)
        return None if found is None else Extrinsics(*found)

    def problem(self, camera_frame: str) -> str:
        """Return why nothing says where a camera is, and what to do."""
        reason = f"{TF_STATIC} does not connect '{camera_frame}' with '{self._base_frame}'"
        if self._transforms is not None and not self._transforms.has_listener:
            reason = f"{TF_STATIC} is not read, as tf2_msgs is not installed"
        return (
            f"{reason}: metric poses are those of the camera, not of {self._base_frame},"
            " keyframes get no 3-D points, and loop closures no metric pose; set"
            " camera_extrinsics"
        )

    def tell(self, topic: str, camera_frame: str) -> None:
        """Log once per camera that its metric poses are not those of the robot."""
        if topic not in self._told:
            self._told.add(topic)
            self._node.get_logger().warning(f"{topic}: {self.problem(camera_frame)}")

    def destroy(self) -> None:
        """Stop listening."""
        if self._transforms is not None:
            self._transforms.destroy()


def given_extrinsics(settings: NodeSettings, topics: Sequence[str]) -> dict[str, Extrinsics]:
    """Return what the parameter camera_extrinsics says, by topic.

    Raises `UsageError` for a parameter that is not one pose, or nothing, per camera.
    """
    given = one_per_camera("camera_extrinsics", settings.camera_extrinsics, topics)
    try:
        return {topic: Extrinsics.from_text(text) for topic, text in given.items()}
    except UsageError as error:
        raise UsageError(f"parameter camera_extrinsics: {error}") from None


def one_per_camera(name: str, values: Sequence[str], topics: Sequence[str]) -> dict[str, str]:
    """Return the values of a parameter by topic, without empty ones.

    Raises `UsageError` unless there is one per camera; a single empty one serves all.
    """
    if tuple(values) in {(), ("",)}:
        return {}
    if len(values) != len(topics):
        raise UsageError(
            f"parameter {name} has {len(values)} values for {len(topics)} cameras: give one for"
            " each camera, '' where there is none"
        )
    return {topic: value for topic, value in zip(topics, values, strict=True) if value}
