"""What an answer becomes where the landmarks of a map tell the pose of its camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from progeo_core.errors import counted
from progeo_core.localization.decision import AMBIGUOUS, LOCALIZED, Decision, below
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate

if TYPE_CHECKING:
    from progeo_core.verification.metric_localizer import MetricPose

# Confidence of a pose that many landmarks agree on.
_CONFIDENCE = 0.99


def decide_metric(
    metric: MetricPose, estimate: PoseEstimate, min_confidence: float
) -> tuple[PoseEstimate, Decision]:
    """Return the estimate and the decision that a pose by landmarks leads to.

    Position, yaw and their covariance are those of the camera. An estimate has no roll and pitch:
    their variance stays that of what nothing observed.
    """
    covariance = np.diag(np.full(6, UNOBSERVED_VARIANCE))
    planar = np.ix_([0, 1, 2, 5], [0, 1, 2, 5])
    covariance[planar] = metric.covariance[planar]
    refined = PoseEstimate(
        metric.pose.position,
        metric.pose.yaw_rad,
        covariance,
        max(estimate.confidence, _CONFIDENCE),
    )
    reason = (
        f"{metric.landmarks} landmarks of {counted(len(metric.places), 'place')} agree on one pose"
    )
    if refined.confidence >= min_confidence:
        return refined, Decision(True, LOCALIZED, reason)
    reason = f"{reason}, {below(refined.confidence, min_confidence)}"
    return refined, Decision(False, AMBIGUOUS, reason)
