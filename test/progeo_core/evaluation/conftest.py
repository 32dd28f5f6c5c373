"""A replay that the tests of its report share."""

import pytest

from progeo_core.bags.writer import CAMERA_POSE_TOPIC, IMAGE_TOPIC, write_bag
from progeo_core.evaluation.replay import read_input, replay_offline
from progeo_core.geo import Datum
from progeo_core.images.calibration_file import read_calibration
from progeo_core.map.build import build_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

DATUM = Datum(48.0, 11.0, 500.0)


@pytest.fixture(scope="session")
def run(campus_loop, small_encoder, tmp_path_factory):
    """Return an offline replay of eighteen campus frames against eighteen others."""
    folder = tmp_path_factory.mktemp("replay")
    records = read_records(campus_loop / "records.csv")
    build_map(folder / "campus.progeo", FileSource(records.select(slice(0, 36, 2))), small_encoder)
    write_bag(folder / "drive <&> back", records.select(slice(1, 37, 2)))
    source = read_input(
        folder / "drive <&> back",
        folder / "campus.progeo",
        "/camera/image_raw",
        "/ground_truth/pose",
        4.0,
    )
    return replay_offline(source, small_encoder)


@pytest.fixture(scope="session")
def office_bag(office, tmp_path_factory):
    """Return a bag of four images of an office with calibration and poses of their camera."""
    path = tmp_path_factory.mktemp("bags") / "office"
    calibration = read_calibration(office / "camera_info.yaml")
    write_bag(path, read_records(office / "query.csv"), calibration=calibration)
    return path


@pytest.fixture(scope="session")
def office_run(office_bag, office_map, small_encoder):
    """Return an offline replay of the office, whose answers are full poses."""
    source = read_input(
        office_bag, office_map, IMAGE_TOPIC, CAMERA_POSE_TOPIC, 1.0, camera_poses=True
    )
    return replay_offline(source, small_encoder)


@pytest.fixture(scope="session")
def campus_records(campus_loop):
    """Return the 72 campus frames."""
    return read_records(campus_loop / "records.csv")


@pytest.fixture(scope="session")
def placed_map(campus_records, small_encoder, tmp_path_factory):
    """Return a map with a datum, of the first twenty even frames."""
    path = tmp_path_factory.mktemp("maps") / "placed.progeo"
    build_map(path, FileSource(campus_records.select(slice(0, 40, 2))), small_encoder, datum=DATUM)
    return path


@pytest.fixture(scope="session")
def campus_bag(campus_records, tmp_path_factory):
    """Return a bag of ten odd frames with poses, at 10 Hz."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    write_bag(path, campus_records.select(slice(1, 21, 2)))
    return path
