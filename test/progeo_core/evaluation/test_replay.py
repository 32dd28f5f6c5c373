import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import CAMERA_POSE_TOPIC, write_bag
from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.evaluation.replay import read_input, replay_of, replay_offline
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource

DATUM = Datum(48.0, 11.0, 500.0)
POSES, FIXES, IMAGES = "/ground_truth/pose", "/ground_truth/fix", "/camera/image_raw"


def test_input_has_ground_truth_for_every_image(campus_bag, placed_map, campus_records):
    source = read_input(campus_bag, placed_map, IMAGES, POSES, 5.0)
    assert source.images == 10
    assert source.duration_s == pytest.approx(0.9)
    assert source.datum == DATUM
    np.testing.assert_allclose(source.truth.position, campus_records.position[1:21:2], atol=1e-9)


def test_every_image_is_answered_offline(campus_bag, placed_map, small_encoder):
    source = read_input(campus_bag, placed_map, IMAGES, POSES, 5.0)
    steps: list[int] = []
    run = replay_offline(source, small_encoder, advance=steps.append)
    assert sum(steps) == source.images == run.answered == 10
    assert run.dropped == 0
    assert run.rows.tolist() == list(range(10))
    assert [answer.stamp_ns for answer in run.localizations] == source.stamp_ns.tolist()
    assert (run.latency_ms > 0.0).all()
    assert run.evaluation.queries == 10
    assert run.evaluation.database == 20
    assert run.evaluation.recall_at[1] >= 0.8
    assert run.evaluation.sequence is not None
    assert run.localizations[0].geodetic is not None


def test_ground_truth_in_degrees_becomes_metres_of_the_map(
    campus_bag, placed_map, campus_records, tmp_path
):
    few = campus_records.select(slice(1, 7, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    source = read_input(tmp_path / "fixes", placed_map, IMAGES, FIXES, 5.0)
    np.testing.assert_allclose(source.truth.position[:, :2], few.position[:, :2], atol=1e-3)


def test_ground_truth_in_degrees_needs_a_datum(campus_records, small_encoder, tmp_path):
    few = campus_records.select(slice(0, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    path = tmp_path / "local.progeo"
    build_map(path, FileSource(few), small_encoder)
    with pytest.raises(DataError, match="latitude and longitude, but the map has no datum"):
        read_input(tmp_path / "fixes", path, IMAGES, FIXES, 5.0)


def test_a_calibration_of_the_bag_gives_full_poses(office_run):
    assert office_run.source.intrinsics.width == 540
    assert [answer.method for answer in office_run.localizations] == ["metric"] * 4
    assert office_run.poses.has_rotation
    figures = office_run.poses.full.to_json()
    assert figures["answered"] == figures["within"]["0.10m_5deg"] == 1.0


def test_a_given_calibration_takes_the_place_of_the_bag_s(office_bag, office_map, small_encoder):
    other = Intrinsics(540, 360, 250.0, 250.0, 270.0, 180.0)
    source = read_input(office_bag, office_map, IMAGES, CAMERA_POSE_TOPIC, 1.0, calibration=other)
    assert source.intrinsics == other
    assert np.isnan(source.orientation).all()


def test_positions_alone_leave_the_rotation_unknown(office_bag, office_map, small_encoder):
    source = read_input(office_bag, office_map, IMAGES, POSES, 1.0)
    run = replay_offline(source, small_encoder)
    assert not run.poses.has_rotation
    figures = run.poses.full.to_json()
    assert figures["answered"] == 1.0
    assert figures["position_error_m"]["p90"] < 0.1
    assert figures["rotation_error_deg"]["median"] is None


def test_fixes_are_no_poses_of_a_camera(campus_records, placed_map, tmp_path):
    few = campus_records.select(slice(1, 7, 2))
    degrees = dataclasses.replace(
        few, position=wgs84_from_enu(few.position, DATUM), frame=Frame.WGS84
    )
    write_bag(tmp_path / "fixes", degrees)
    with pytest.raises(DataError, match="have no orientation, so that they are not those of a cam"):
        read_input(tmp_path / "fixes", placed_map, IMAGES, FIXES, 5.0, camera_poses=True)


def test_images_without_ground_truth_are_answered_but_not_counted(
    placed_map, campus_records, small_encoder, tmp_path
):
    few = campus_records.select(slice(1, 9, 2))
    position = few.position.copy()
    position[-1] = np.nan
    write_bag(tmp_path / "drive", dataclasses.replace(few, position=position))
    source = read_input(tmp_path / "drive", placed_map, IMAGES, POSES, 5.0)
    run = replay_offline(source, small_encoder)
    assert run.answered == 4
    assert run.evaluated.tolist() == [0, 1, 2]
    assert run.evaluation.queries == 3


def test_unusable_images_are_dropped_and_counted(
    campus_bag, placed_map, small_encoder, monkeypatch
):
    source = read_input(campus_bag, placed_map, IMAGES, POSES, 5.0)
    real = Bag.images

    def damaged(self, topic):
        from progeo_core.errors import ImageError

        for row, image in enumerate(real(self, topic)):
            yield image._replace(image=ImageError("damaged")) if row == 3 else image

    monkeypatch.setattr(Bag, "images", damaged)
    run = replay_offline(source, small_encoder)
    assert (run.answered, run.dropped) == (9, 1)
    assert run.dropped_by == {"failed": 1}
    with pytest.raises(DataError, match=r"nothing to report \(dropped: 1 failed\); first: damaged"):
        replay_of(source, "offline", [], [], [], {"failed": 1}, follows=True, skipped=["damaged"])
    assert 3 not in run.rows


def test_topics_and_clocks_are_checked_before_any_work(campus_bag, placed_map):
    with pytest.raises(DataError, match="there is no topic '/nope'; topics with images: "):
        read_input(campus_bag, placed_map, "/nope", POSES, 5.0)
    with pytest.raises(DataError, match="there is no topic '/truth'; topics with poses: "):
        read_input(campus_bag, placed_map, IMAGES, "/truth", 5.0)
    with pytest.raises(DataError, match="there is no map here"):
        read_input(campus_bag, placed_map.with_name("none.progeo"), IMAGES, POSES, 5.0)


def test_another_model_is_refused(campus_bag, placed_map, small_encoder):
    source = read_input(campus_bag, placed_map, IMAGES, POSES, 5.0)

    other: Any = SimpleNamespace(
        fingerprint=dataclasses.replace(small_encoder.fingerprint, weights_sha256="0" * 64)
    )

    with pytest.raises(ModelMismatchError, match="small"):
        replay_offline(source, other)
