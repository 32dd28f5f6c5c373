"""Bags written from shipped images: read back by rclpy and by us, refused, interrupted."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import deserialize_message
from ruamel.yaml import YAML
from sensor_msgs.msg import CompressedImage, Image, NavSatFix

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import (
    COMPRESSED_IMAGE_TOPIC,
    FIX_TOPIC,
    IMAGE_TOPIC,
    POSE_TOPIC,
    write_bag,
)
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Frame
from progeo_core.images.codec import read_image
from progeo_core.records.records import Records, read_records

STORAGES = ("sqlite3", "mcap")


@pytest.fixture
def records(corridor):
    """Return four images with stamps, at 10 Hz."""
    return read_records(corridor / "query.csv").select(slice(20, 24))


@pytest.fixture
def campus(campus_loop):
    """Return three images with x, y and yaw, without stamps."""
    return read_records(campus_loop / "records.csv").select(slice(3))


def with_columns(records, **columns):
    return Records(**({name: getattr(records, name) for name in records.__annotations__} | columns))


@pytest.mark.parametrize("storage", STORAGES)
def test_rclpy_reads_raw_images_and_poses(tmp_path, campus, storage):
    summary = write_bag(tmp_path / "bag", campus, storage=storage)
    assert summary == (3, 3, ())
    with Bag(tmp_path / "bag") as bag:
        images = [deserialize_message(raw.data, Image) for raw in bag.raw_messages([IMAGE_TOPIC])]
        poses = [
            deserialize_message(raw.data, PoseStamped) for raw in bag.raw_messages([POSE_TOPIC])
        ]
    for row, (image, pose) in enumerate(zip(images, poses, strict=True)):
        pixels = read_image(campus.images[row])
        assert (image.height, image.width, image.step) == (*pixels.shape[:2], 3 * pixels.shape[1])
        assert image.encoding == "rgb8"
        assert image.data.tobytes() == pixels.tobytes()
        assert pose.header.stamp == image.header.stamp
        assert pose.header.frame_id == "map"
        assert pose.pose.position.x == campus.position[row, 0]
        turn = pose.pose.orientation
        assert 2 * np.arctan2(turn.z, turn.w) == pytest.approx(campus.yaw_rad[row])


@pytest.mark.parametrize("storage", STORAGES)
def test_compressed_images_keep_the_bytes_of_their_files(tmp_path, records, campus, storage):
    for name, rows, kind in (("jpeg", records, "jpeg"), ("png", campus, "png")):
        write_bag(tmp_path / name, rows, storage=storage, compressed=True)
        with Bag(tmp_path / name) as bag:
            raw = list(bag.raw_messages([COMPRESSED_IMAGE_TOPIC]))
        messages = [deserialize_message(message.data, CompressedImage) for message in raw]
        assert [message.data.tobytes() for message in messages] == [
            path.read_bytes() for path in rows.images
        ]
        assert {message.format for message in messages} == {kind}
        assert [message.header.frame_id for message in messages] == list(rows.camera)


def test_other_files_are_compressed_to_jpeg(tmp_path, campus, campus_loop):
    import cv2

    bitmap = tmp_path / "image.bmp"
    cv2.imwrite(str(bitmap), np.asarray(cv2.imread(str(campus.images[0]))))
    row = with_columns(campus.select(slice(1)), images=(bitmap,))
    write_bag(tmp_path / "bag", row, compressed=True)
    with Bag(tmp_path / "bag") as bag:
        (raw,) = bag.raw_messages([COMPRESSED_IMAGE_TOPIC])
    message = deserialize_message(raw.data, CompressedImage)
    assert message.format == "jpeg"
    assert message.data.tobytes().startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("storage", STORAGES)
def test_metadata_is_of_the_last_version_that_every_distribution_reads(tmp_path, records, storage):
    write_bag(tmp_path / "bag", records, storage=storage)
    metadata = YAML(typ="safe").load((tmp_path / "bag" / "metadata.yaml").read_text())
    bag = metadata["rosbag2_bagfile_information"]
    assert bag["version"] == 8
    assert bag["storage_identifier"] == storage
    assert [(tmp_path / "bag" / name).is_file() for name in bag["relative_file_paths"]] == [True]
    for topic in bag["topics_with_message_count"]:
        assert topic["message_count"] == 4
        # A string: the list of version 9 is what Humble cannot read.
        (profile,) = YAML(typ="safe").load(topic["topic_metadata"]["offered_qos_profiles"])
        assert (profile["reliability"], profile["durability"]) == (1, 2)


def test_records_keep_their_stamps_unless_a_rate_is_given(tmp_path, records, campus):
    def stamps(name, rows, rate_hz):
        write_bag(tmp_path / name, rows, rate_hz=rate_hz, compressed=True)
        with Bag(tmp_path / name) as bag:
            return bag.stamps(COMPRESSED_IMAGE_TOPIC)

    np.testing.assert_array_equal(stamps("own", records, None), records.stamp_ns)
    spaced = records.stamp_ns[0] + np.arange(4) * 500_000_000
    np.testing.assert_array_equal(stamps("spaced", records, 2.0), spaced)
    np.testing.assert_array_equal(stamps("made up", campus, None), 10**18 + np.arange(3) * 10**8)
    np.testing.assert_array_equal(stamps("thirds", campus, 3.0) - 10**18, [0, 333333333, 666666667])


def test_messages_are_written_in_the_order_of_their_stamps(tmp_path, records):
    write_bag(tmp_path / "bag", records.select(np.array([2, 0, 3, 1])), compressed=True)
    with Bag(tmp_path / "bag") as bag:
        received = [raw.received_ns for raw in bag.raw_messages([COMPRESSED_IMAGE_TOPIC])]
    np.testing.assert_array_equal(received, records.stamp_ns)


def test_geodetic_records_become_fixes(tmp_path, campus):
    position = np.array([[48.1, 11.5, 510.0], [48.2, 11.6, np.nan], [np.nan, 11.7, 510.0]])
    rows = with_columns(campus, position=position, frame=Frame.WGS84)
    assert write_bag(tmp_path / "bag", rows, compressed=True).poses == 2
    with Bag(tmp_path / "bag") as bag:
        fixes = [deserialize_message(raw.data, NavSatFix) for raw in bag.raw_messages([FIX_TOPIC])]
        read, images, _ = bag.records(COMPRESSED_IMAGE_TOPIC, FIX_TOPIC)
    assert {fix.header.frame_id for fix in fixes} == {"gps"}
    assert {fix.position_covariance_type for fix in fixes} == {NavSatFix.COVARIANCE_TYPE_UNKNOWN}
    assert {fix.status.status for fix in fixes} == {0}
    assert read.frame is Frame.WGS84
    np.testing.assert_array_equal(read.position, position[:2])
    np.testing.assert_array_equal(images, [0, 1])


def test_unknown_yaw_and_position_stay_unknown(tmp_path, records):
    position = records.position.copy()
    position[2] = np.nan
    rows = with_columns(records, position=position, yaw_rad=np.array([np.nan, 1.0, 1.0, -2.0]))
    assert write_bag(tmp_path / "bag", rows).poses == 3
    with Bag(tmp_path / "bag") as bag:
        track = bag.pose_track(POSE_TOPIC)
    np.testing.assert_allclose(track.yaw_rad, [np.nan, 1.0, -2.0])


def test_damaged_images_are_skipped_with_their_poses(tmp_path, records):
    (tmp_path / "cut.jpg").write_bytes(records.images[0].read_bytes()[:900])
    images = (tmp_path / "cut.jpg", records.images[1], tmp_path / "absent.jpg", records.images[3])
    rows = with_columns(records, images=images)
    for compressed in (False, True):
        done: list[int] = []
        path = tmp_path / f"bag{compressed}"
        summary = write_bag(path, rows, compressed=compressed, advance=done.append)
        assert (summary.images, summary.poses) == (2, 2)
        assert "cut.jpg: the image is truncated" in summary.skipped[0]
        assert "absent.jpg: the image cannot be read" in summary.skipped[1]
        assert sum(done) == 4
        with Bag(path) as bag:
            assert {info.count for info in bag.topics.values()} == {2}


@pytest.mark.parametrize("rows", [slice(0), slice(1)])
def test_no_usable_image_gives_no_bag(tmp_path, records, rows):
    absent = with_columns(records, images=(tmp_path / "absent.jpg",) * 4).select(rows)
    with pytest.raises(DataError, match=r"no bag without a usable image: .*(absent|empty)"):
        write_bag(tmp_path / "bag", absent)
    assert list(tmp_path.iterdir()) == []


def test_a_bag_is_never_overwritten(tmp_path, records):
    (tmp_path / "bag").mkdir()
    with pytest.raises(UsageError, match="bag exists, and a bag is never overwritten"):
        write_bag(tmp_path / "bag", records)
    assert list((tmp_path / "bag").iterdir()) == []


@pytest.mark.parametrize(
    ("stamp_ns", "rate_hz", "message"),
    [
        ([1, 0, 1, 1], None, "1 of 4 records have no stamp_ns"),
        ([1, 2, 3, 2**62], None, "no time after"),
        ([1, 2, 3, 4], 0.0, r"rate 0 Hz: must be above 0, and at most 1,000,000"),
        ([1, 2, 3, 4], 1e12, r"rate 1e\+12 Hz"),
        ([1, 2, 3, 4], float("nan"), "rate nan Hz"),
    ],
)
def test_stamps_that_make_no_sense_are_refused(tmp_path, records, stamp_ns, rate_hz, message):
    rows = with_columns(records, stamp_ns=np.array(stamp_ns, np.int64))
    with pytest.raises(UsageError, match=message):
        write_bag(tmp_path / "bag", rows, rate_hz=rate_hz)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path, records):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/bag: the bag cannot be written .*check free space"):
        write_bag(tmp_path / "file" / "bag", records)


WRITE_IN_A_CHILD = """
import os, resource, signal, sys
from pathlib import Path
from progeo_core.bags.writer import write_bag
from progeo_core.errors import DataError
from progeo_core.records.records import read_records

csv, path, storage, trouble = sys.argv[1:]
records = read_records(Path(csv)).select(slice(12))
if trouble == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kill = lambda count: os.kill(os.getpid(), signal.SIGKILL)
ignore = lambda count: None
try:
    write_bag(Path(path), records, storage=storage, advance=kill if trouble == "kill" else ignore)
except DataError as error:
    sys.exit(str(error))
"""


def write_in_a_child(corridor, path, storage, trouble):
    return subprocess.run(
        [sys.executable, "-c", WRITE_IN_A_CHILD, corridor / "ref.csv", path, storage, trouble],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
def test_a_kill_leaves_no_half_bag(tmp_path, corridor, storage):
    child = write_in_a_child(corridor, tmp_path / "bag", storage, "kill")
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "bag").exists()
    # What is left behind does not get in the way.
    write_bag(tmp_path / "bag", read_records(corridor / "ref.csv").select(slice(1)))


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, corridor, storage):
    child = write_in_a_child(corridor, tmp_path / "bag", storage, "full")
    assert child.returncode == 1
    assert child.stderr.count("\n") == 1
    assert "bag: the bag cannot be written" in child.stderr
    assert "check free space" in child.stderr
    assert list(tmp_path.iterdir()) == []
