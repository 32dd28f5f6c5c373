"""What goes into the localizer, a camera frame, and what comes out, a localization."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.pose_estimate import PoseEstimate

if TYPE_CHECKING:
    from progeo_core.verification.metric_localizer import MetricPose


class CameraFrame(NamedTuple):
    """One image, when it was taken (ns, 0 unknown), by which camera, and its calibration.

    extrinsics: where the camera is on its robot.
    """

    image: Image
    stamp_ns: int = 0
    camera: str = ""
    intrinsics: Intrinsics | None = None
    extrinsics: Extrinsics | None = None


class Match(NamedTuple):
    """One place of the map that looks similar to the image.

    similarity: cosine after removing what all places of the map share, -1 to 1, near 0 for
    unrelated images.
    """

    place_id: int
    similarity: float
    position: FloatArray
    yaw_rad: float
    image: str


class StepSeconds(NamedTuple):
    """Time that each step of one answer took (s)."""

    encode: float = 0.0
    search: float = 0.0
    estimate: float = 0.0


class Localization(NamedTuple):
    """Answer to one image; `accepted` says whether a robot may use it.

    geodetic: latitude, longitude (degrees), altitude (m) where the map has a datum.
    state: one of the words of `decision`, reason: one readable line. matches: best first, at most
    `top_k`; in a sequence by belief.
    descriptor: [D] float32. metric: the camera's full pose, None where landmarks do not tell it.
    relocalized: whether the pose does not follow on from those before, as `PoseStream` has it.
    """

    stamp_ns: int
    camera: str
    estimate: PoseEstimate
    geodetic: tuple[float, float, float] | None
    accepted: bool
    state: str
    reason: str
    matches: tuple[Match, ...]
    descriptor: NDArray[np.float32]
    seconds: StepSeconds = StepSeconds()
    metric: MetricPose | None = None
    relocalized: bool = False

    @property
    def method(self) -> str:
        """Return what the pose is from: "metric" (landmarks) or "place" (similar places)."""
        return "place" if self.metric is None else "metric"

    @property
    def shown_place(self) -> int | None:
        """Return the id of the place whose picture explains the answer, None without any.

        It is the one with most of the landmarks that tell the pose, else the best match.
        """
        if self.metric is not None and self.metric.best is not None:
            return self.metric.best.place_id
        return self.matches[0].place_id if self.matches else None
