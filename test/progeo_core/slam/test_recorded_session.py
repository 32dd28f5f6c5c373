import dataclasses

import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records
from progeo_core.slam.recorded_session import _drive, close_recorded_loops
from test.campus_laps import ORDER, SPACING


@pytest.mark.slow
def test_the_second_lap_closes_on_the_first(campus_loop, small_encoder):
    records = read_records(campus_loop / "records.csv").select(ORDER)
    session = close_recorded_loops(
        FileSource(records), small_encoder, FeatureExtractor("cpu"), keyframes=SPACING
    )
    assert len(session.closures) > 15
    row_of = {one.stamp_ns: row for row, one in enumerate(session.keyframes)}
    for closure, inliers in session.closures:
        query, match = row_of[closure.query.stamp_ns], row_of[closure.match.stamp_ns]
        assert np.linalg.norm(records.position[query] - records.position[match]) < 15.0
        assert inliers > 25
    assert session.images == tuple(map(str, records.images))
    assert len(session.pictures) == len(session.keyframes)


def test_headings_of_a_gps_track_come_from_its_motion(campus_loop):
    records = read_records(campus_loop / "records.csv").select(slice(0, 5))
    line = np.arange(5)[:, None] * [0.0, 3.0, 0.0]
    track = dataclasses.replace(
        records,
        frame=Frame.WGS84,
        position=wgs84_from_enu(line, Datum(48.0, 11.0, 0.0)),
        yaw_rad=np.full(5, np.nan),
    )
    poses, stamps = _drive(track)
    np.testing.assert_allclose(poses[:, :2], line[:, :2], atol=1e-3)
    np.testing.assert_allclose(poses[:, 2], np.pi / 2, atol=1e-3)
    assert (np.diff(stamps) > 0).all()
    with pytest.raises(UsageError, match="two images with positions at least"):
        _drive(records.select(slice(0, 1)))
