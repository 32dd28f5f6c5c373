"""The matches of one answer as markers, for RViz and Foxglove."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from progeo_core.localization.answer import Localization
from progeo_ros.conversions import horizontal_sigma_m, quaternion_from_yaw, stamp_from_ns

_GREEN = ColorRGBA(r=0.2, g=0.8, b=0.3, a=0.9)
_AMBER = ColorRGBA(r=0.95, g=0.65, b=0.15, a=0.9)
_SPOT_M = 0.5
# A wide covariance would paint the whole map.
_WIDEST_DISC_M = 50.0


def match_markers(answer: Localization, map_frame: str) -> MarkerArray:
    """Return spots at the matched places, a disc of one sigma, an arrow and a line of text."""
    header = Header(stamp=stamp_from_ns(answer.stamp_ns), frame_id=map_frame)
    color = _GREEN if answer.accepted else _AMBER
    pose = _pose(answer)
    diameter = 2.0 * min(horizontal_sigma_m(answer.estimate), _WIDEST_DISC_M)
    disc_color = ColorRGBA(r=color.r, g=color.g, b=color.b, a=0.25)
    markers = [
        _spots(answer, header),
        _marker(
            header,
            "sigma",
            Marker.CYLINDER,
            pose,
            scale=(diameter, diameter, 0.05),
            color=disc_color,
        ),
        _arrow(answer, header, pose, color),
        _text(answer, header, pose),
    ]
    return MarkerArray(markers=markers)


def _pose(answer: Localization) -> Pose:
    x, y, z = (float(value) for value in answer.estimate.position)
    orientation = quaternion_from_yaw(answer.estimate.yaw_rad)
    return Pose(position=Point(x=x, y=y, z=z), orientation=orientation)


def _marker(
    header: Header,
    namespace: str,
    kind: int,
    pose: Pose,
    *,
    scale: tuple[float, float, float],
    color: ColorRGBA,
) -> Marker:
    x, y, z = scale
    return Marker(
        header=header, ns=namespace, type=kind, pose=pose, scale=Vector3(x=x, y=y, z=z), color=color
    )


def _spots(answer: Localization, header: Header) -> Marker:
    """Return one sphere per match: the more similar, the redder."""
    scale = (_SPOT_M, _SPOT_M, _SPOT_M)
    spots = _marker(header, "matches", Marker.SPHERE_LIST, Pose(), scale=scale, color=_AMBER)
    for match in answer.matches:
        x, y, z = (float(value) for value in match.position)
        warmth = min(max(match.similarity, 0.0), 1.0)
        spots.points.append(Point(x=x, y=y, z=z))
        spots.colors.append(ColorRGBA(r=warmth, g=0.2, b=1.0 - warmth, a=0.8))
    return spots


def _arrow(answer: Localization, header: Header, pose: Pose, color: ColorRGBA) -> Marker:
    """Return the estimated direction; an unknown one (NaN yaw) deletes the arrow."""
    arrow = _marker(header, "pose", Marker.ARROW, pose, scale=(2.0, 0.3, 0.3), color=color)
    if answer.estimate.yaw_rad != answer.estimate.yaw_rad:
        arrow.action = Marker.DELETE
    return arrow


def _text(answer: Localization, header: Header, pose: Pose) -> Marker:
    white = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    text = _marker(
        header, "text", Marker.TEXT_VIEW_FACING, pose, scale=(0.0, 0.0, 0.6), color=white
    )
    text.text = f"{answer.state} {answer.estimate.confidence:.2f}"
    return text
