import math

import numpy as np
from visualization_msgs.msg import Marker, MarkerArray

from progeo_core.localization.answer import Localization
from progeo_ros.outputs.match_markers import match_markers


def by_namespace(array: MarkerArray) -> dict[str, Marker]:
    return {marker.ns: marker for marker in array.markers}


def test_every_match_is_a_spot_where_its_place_is(answer: Localization) -> None:
    markers = by_namespace(match_markers(answer, "map"))
    spots = markers["matches"]
    assert [(point.x, point.y) for point in spots.points] == [(1.0, 2.0), (6.0, 2.0)]
    assert len(spots.colors) == 2
    assert spots.colors[0].r > spots.colors[1].r, "more alike is redder"
    assert {marker.header.frame_id for marker in markers.values()} == {"map"}
    assert markers["text"].text == "LOCALIZED 0.95"


def test_the_disc_is_one_sigma_wide_within_reason(answer: Localization) -> None:
    disc = by_namespace(match_markers(answer, "map"))["sigma"]
    largest = np.linalg.eigvalsh(answer.estimate.covariance[:2, :2])[-1]
    assert math.isclose(disc.scale.x, 2 * math.sqrt(largest))
    lost = answer.estimate._replace(covariance=np.eye(6) * 1e6)
    disc = by_namespace(match_markers(answer._replace(estimate=lost), "map"))["sigma"]
    assert disc.scale.x == 100.0


def test_an_unknown_direction_removes_the_arrow(answer: Localization) -> None:
    assert by_namespace(match_markers(answer, "map"))["pose"].action == Marker.ADD
    unknown = answer.estimate._replace(yaw_rad=math.nan)
    arrow = by_namespace(match_markers(answer._replace(estimate=unknown), "map"))["pose"]
    assert arrow.action == Marker.DELETE
