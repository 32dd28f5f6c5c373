"""Reading bags: of real messages, of other recorders, damaged, and asked for too much."""

import logging
import shutil
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from ruamel.yaml import YAML
from sensor_msgs.msg import CompressedImage, Image, NavSatFix

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import COMPRESSED_IMAGE_TOPIC, IMAGE_TOPIC, POSE_TOPIC, write_bag
from progeo_core.errors import DataError, ImageError
from progeo_core.geo import Frame
from progeo_core.images.codec import read_image
from progeo_core.records.records import read_records

STORAGES = ("sqlite3", "mcap")
SECOND = 10**9
START = 1_700_000_000 * SECOND


@pytest.fixture
def records(campus_loop):
    return read_records(campus_loop / "records.csv").select(slice(6))


@pytest.fixture
def bag_path(tmp_path, records):
    write_bag(tmp_path / "campus", records, compressed=True)
    return tmp_path / "campus"


def at(message, seconds, *, frame_id="camera"):
    """Stamp a message `seconds` after START; None leaves it without a stamp."""
    if seconds is not None:
        stamp = START + round(seconds * SECOND)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
    message.header.frame_id = frame_id
    return message


def image(seconds, value=50, encoding="mono8"):
    return at(Image(height=2, width=2, encoding=encoding, step=2, data=[value] * 4), seconds)


def pose(seconds, x):
    message = at(PoseStamped(), seconds, frame_id="map")
    message.pose.position.x = x
    message.pose.orientation.w = 1.0
    return message


def make_bag(path, messages, storage="sqlite3", compression=None):
    """Record (topic, received seconds after START, message or raw (type, bytes)) into a bag."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("float64 wing_angle\nstring mood", "duck_msgs/msg/Duck"))
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    connections = {}
    with writer:
        for topic, seconds, message in messages:
            if isinstance(message, tuple):
                name, data = message
            else:
                name = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
                data = serialize_message(message)
            if (topic, name) not in connections:
                connections[topic, name] = writer.add_connection(topic, name, typestore=store)
            writer.write(connections[topic, name], START + round(seconds * SECOND), data)
    return path


DUCK = ("duck_msgs/msg/Duck", b"\x00\x01\x00\x00" + bytes(13))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_written_records_are_read_back(tmp_path, corridor, storage, compressed):
    records = read_records(corridor / "query.csv").select(slice(30, 36))
    write_bag(tmp_path / "bag", records, storage=storage, compressed=compressed)
    topic = COMPRESSED_IMAGE_TOPIC if compressed else IMAGE_TOPIC
    with Bag(tmp_path / "bag") as bag:
        assert {name: info.count for name, info in bag.topics.items()} == {topic: 6, POSE_TOPIC: 6}
        read, rows, unplaced = bag.records(topic, POSE_TOPIC)
        images = list(bag.images(topic))
        chosen = [one.stamp_ns for one in bag.images(topic, {1, 4})]
    assert chosen == records.stamp_ns[[1, 4]].tolist()
    assert unplaced == ()
    np.testing.assert_array_equal(rows, range(6))
    np.testing.assert_array_equal(read.position, records.position)
    np.testing.assert_allclose(read.yaw_rad, records.yaw_rad)
    np.testing.assert_array_equal(read.stamp_ns, records.stamp_ns)
    assert read.camera == records.camera
    assert read.traverse == ("bag",) * 6
    assert str(read.images[2]) == f"{topic}@{records.stamp_ns[2]}"
    for row, shown in enumerate(images):
        assert (shown.stamp_ns, shown.camera) == (records.stamp_ns[row], "front")
        np.testing.assert_array_equal(shown.image, read_image(records.images[row]))


@pytest.mark.parametrize("storage", STORAGES)
def test_the_storage_file_alone_is_a_bag_too(tmp_path, records, storage):
    write_bag(tmp_path / "bag", records, storage=storage, compressed=True)
    (tmp_path / "bag" / "metadata.yaml").unlink()
    (file,) = (tmp_path / "bag").iterdir()
    with Bag(file) as bag:
        assert len(list(bag.images(COMPRESSED_IMAGE_TOPIC))) == 6


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_split_over_several_files_is_read_in_order(tmp_path, records, storage):
    for part, rows in (("part_0", slice(4)), ("part_1", slice(4, 6))):
        stamped = records.select(rows)
        stamped.stamp_ns[:] = START + np.arange(6)[rows] * SECOND
        write_bag(tmp_path / part, stamped, storage=storage, compressed=True)
    first, second = tmp_path / "part_0", tmp_path / "part_1"
    yaml = YAML(typ="safe")
    metadata = yaml.load((first / "metadata.yaml").read_text())
    (file,) = (path for path in second.iterdir() if path.stem == "part_1")
    shutil.move(file, first)
    bag = metadata["rosbag2_bagfile_information"]
    bag["relative_file_paths"].append(file.name)
    for topic in bag["topics_with_message_count"]:
        topic["message_count"] = 6
    with (first / "metadata.yaml").open("w") as text:
        yaml.dump(metadata, text)
    with Bag(first) as bag:
        np.testing.assert_array_equal(
            bag.stamps(COMPRESSED_IMAGE_TOPIC), START + np.arange(6) * SECOND
        )


@pytest.mark.parametrize(
    ("storage", "compression"),
    [
        ("sqlite3", CompressionMode.FILE),
        ("sqlite3", CompressionMode.MESSAGE),
        ("mcap", CompressionMode.STORAGE),
    ],
)
def test_zstd_bags_are_read(tmp_path, storage, compression):
    path = make_bag(tmp_path / "bag", [("/camera", 0, image(0, 77))], storage, compression)
    with Bag(path) as bag:
        (shown,) = bag.images("/camera")
    np.testing.assert_array_equal(shown.image, np.full((2, 2, 3), 77, np.uint8))


@pytest.mark.parametrize("storage", STORAGES)
def test_types_nobody_knows_do_not_get_in_the_way(tmp_path, storage):
    messages = [("/duck", 0, DUCK), ("/camera", 0, image(0)), ("/pose", 0, pose(0, 3.0))]
    with Bag(make_bag(tmp_path / "bag", messages, storage)) as bag:
        assert bag.topics["/duck"].type == "duck_msgs/msg/Duck"
        np.testing.assert_array_equal(bag.records("/camera", "/pose").records.position, [[3, 0, 0]])
        assert list(bag.raw_messages([])) == []
        (raw,) = bag.raw_messages(["/duck"])
        assert raw == ("/duck", START, DUCK[1])


def test_images_are_paired_with_poses_around_them(tmp_path, caplog):
    """Poses arrive late and out of order, start late, stop early and have a hole."""
    messages: list[tuple[str, float, Any]] = [
        ("/camera", t, image(t, encoding="mono8")) for t in (0, 1, 2, 3, 6, 9)
    ]
    messages += [("/pose", t + 5, pose(t, 10.0 * t)) for t in (2.5, 0.5, 1.5, 7.5, 3.5)]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        records, rows, unplaced = bag.records("/camera", "/pose")
    np.testing.assert_array_equal(rows, [1, 2, 3])
    np.testing.assert_allclose(records.position[:, 0], [10.0, 20.0, 30.0])
    assert records.camera == ("camera",) * 3
    assert "3 of 6 images left out: no pose of '/pose' within 1 s on either side" in caplog.text
    assert len(unplaced) == 3
    assert all("/camera@" in why and "no pose of '/pose' within 1 s" in why for why in unplaced)


def test_poses_that_never_come_are_an_error_that_shows_both_clocks(tmp_path):
    messages = [("/camera", 0, image(0)), ("/pose", 0, pose(-1000, 0.0))]
    with (
        Bag(make_bag(tmp_path / "bag", messages)) as bag,
        pytest.raises(
            DataError,
            match=r"no image of '/camera' .*: images from 1700000000.000 .*"
            r"poses from 1699999000.000 .* the same clock",
        ),
    ):
        bag.records("/camera", "/pose")


def test_unusable_poses_are_dropped_and_counted_by_reason(tmp_path, caplog):
    messages = [
        ("/pose", 1, pose(1, float("nan"))),
        ("/pose", 2, ("geometry_msgs/msg/PoseStamped", b"\x00\x01\x00\x00cut")),
        ("/pose", 3, pose(3, 5.0)),
        ("/pose", 4, pose(3, 6.0)),
    ]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        track = bag.pose_track("/pose")
    assert (len(track), track.dropped) == (1, 3)
    assert (
        "3 of 4 poses of '/pose' dropped: 1 no finite position, 1 damaged, 1 a stamp twice"
        in caplog.text
    )


def test_a_topic_without_one_usable_pose_is_an_error(tmp_path):
    fix = at(NavSatFix(latitude=0.0, longitude=0.0), 0)
    fix.status.status = -1
    with (
        Bag(make_bag(tmp_path / "bag", [("/fix", 0, fix)])) as bag,
        pytest.raises(DataError, match=r"none of the 1 poses of .* a position \(1 no fix\)"),
    ):
        bag.pose_track("/fix")


def test_fixes_give_geodetic_records(tmp_path):
    messages = [("/camera", 0.5, image(0.5))]
    for seconds, latitude in ((0, 48.0), (1, 48.2)):
        fix = at(NavSatFix(latitude=latitude, longitude=11.0, altitude=500.0), seconds)
        fix.status.status = 0
        messages.append(("/fix", seconds, fix))
    with Bag(make_bag(tmp_path / "bag", messages)) as bag:
        records = bag.records("/camera", "/fix").records
    assert records.frame is Frame.WGS84
    np.testing.assert_allclose(records.position, [[48.1, 11.0, 500.0]])
    assert np.isnan(records.yaw_rad).all()


def test_odometry_gives_poses(tmp_path):
    odometry = at(Odometry(), 0)
    odometry.pose.pose.position.y = 4.0
    with Bag(make_bag(tmp_path / "bag", [("/odom", 0, odometry)])) as bag:
        np.testing.assert_array_equal(bag.pose_track("/odom").position, [[0.0, 4.0, 0.0]])


def test_an_image_without_stamp_takes_the_time_it_was_received(tmp_path, caplog):
    messages = [("/camera", 1, image(None)), ("/camera", 2, image(1.9))]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        expected = [START + SECOND, START + round(1.9 * SECOND)]
        assert bag.stamps("/camera").tolist() == expected
        assert [shown.stamp_ns for shown in bag.images("/camera")] == expected
    assert "1 of 2 images of '/camera' have no stamp" in caplog.text


def test_a_pose_without_stamp_takes_the_time_it_was_received_as_well(tmp_path, caplog):
    messages: list[tuple[str, float, Any]] = [("/camera", n, image(None)) for n in (1, 2)]
    messages += [("/pose", n, pose(None, 10.0 * n)) for n in (0.5, 1.5, 2.5)]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        records = bag.records("/camera", "/pose").records
    np.testing.assert_allclose(records.position[:, 0], [10.0, 20.0])
    assert "3 of 3 poses of '/pose' have no stamp; the time they were received is" in caplog.text


@pytest.mark.parametrize(("period_s", "flag_s"), [(1.5, 1.7), (5.0, 5.5)])
def test_poses_that_come_seldom_name_the_limit_and_the_flag(tmp_path, caplog, period_s, flag_s):
    messages = [("/camera", t, image(t)) for t in np.arange(0.1, 10.0, 0.5).tolist()]
    messages += [("/pose", t, pose(t, t)) for t in np.arange(0.0, 11.0, period_s).tolist()]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        if period_s > 2.0:
            with pytest.raises(DataError, match=f"come every 5 s: --max-pose-gap {flag_s}"):
                bag.records("/camera", "/pose")
        else:
            assert bag.records("/camera", "/pose").unplaced
            assert f"come every 1.5 s: --max-pose-gap {flag_s}" in caplog.text
        read = bag.records("/camera", "/pose", max_pose_gap_s=flag_s)
    assert read.unplaced == ()
    np.testing.assert_allclose(read.records.position[:, 0], np.arange(0.1, 10.0, 0.5))


@pytest.mark.parametrize("status", [-2, -1, 0])
def test_a_receiver_without_a_fix_places_nothing(tmp_path, caplog, status):
    """As receivers start: at 0, 0, whatever their status says, which is -2 by default."""
    messages = [("/camera", t, image(t)) for t in (0.5, 1.5, 2.5)]
    for seconds in range(4):
        found = seconds >= 2
        fix = NavSatFix(latitude=48.0 if found else 0.0, longitude=11.0 if found else 0.0)
        fix.status.status = 0 if found else status
        messages.append(("/fix", seconds, at(fix, seconds)))
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        read = bag.records("/camera", "/fix")
    np.testing.assert_array_equal(read.records.position[:, :2], [[48.0, 11.0]])
    assert len(read.unplaced) == 2
    assert "2 of 4 poses of '/fix' dropped: 2 no" in caplog.text


@pytest.mark.parametrize(
    ("nanoseconds", "name"), [(10**9, "seconds"), (10**6, "milliseconds"), (10**3, "microseconds")]
)
def test_stamps_in_another_unit_are_recognised_by_their_size(tmp_path, caplog, nanoseconds, name):
    def stamped(message, seconds):
        stamp = (START + round(seconds * SECOND)) // nanoseconds
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
        return message

    messages = [("/camera", n, stamped(image(0), n)) for n in range(1, 6)]
    messages += [("/pose", n, stamped(pose(0, 10.0 * n), n)) for n in range(7)]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, caplog.at_level(logging.WARNING):
        records = bag.records("/camera", "/pose").records
        shown = [one.stamp_ns for one in bag.images("/camera")]
    np.testing.assert_allclose(records.position[:, 0], [10.0, 20.0, 30.0, 40.0, 50.0])
    assert records.stamp_ns.tolist() == shown == [START + n * SECOND for n in range(1, 6)]
    for topic in ("/camera", "/pose"):
        assert f"the stamps of '{topic}' are {name}, not nanoseconds" in caplog.text


def test_video_in_a_compressed_image_says_what_to_record_instead(tmp_path):
    frame = b"\x00\x00\x00\x01\x67\x42\x00\x0a" + bytes(50)
    messages = [
        ("/camera", n, at(CompressedImage(format=format, data=frame), n))
        for n, format in enumerate(("h264", "hevc", "jpeg"))
    ]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag:
        for shown in bag.images("/camera"):
            assert "video" in str(shown.image)
            assert "republish" in str(shown.image)


def test_a_bad_image_is_an_error_in_its_place(tmp_path):
    messages = [
        ("/camera", 0, image(0)),
        ("/camera", 1, image(1, encoding="pink8")),
        ("/camera", 2, ("sensor_msgs/msg/Image", b"")),
        ("/camera", 3, ("sensor_msgs/msg/Image", serialize_message(image(3))[:-2])),
        ("/camera", 4, image(4)),
    ]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag:
        images = list(bag.images("/camera"))
    assert [isinstance(shown.image, ImageError) for shown in images] == [0, 1, 1, 1, 0]
    assert "'pink8' is not known" in str(images[1].image)
    assert f"/camera@{START + 2 * SECOND}: the message is damaged" in str(images[2].image)
    assert images[3].stamp_ns == START + 3 * SECOND


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda bag: bag.images("/nope"), r"no topic '/nope'; topics with images: /camera$"),
        (lambda bag: bag.images("/pose"), r"'/pose' is .*PoseStamped, not images; .*: /camera$"),
        (lambda bag: bag.stamps("/pose"), r"not images"),
        (lambda bag: bag.pose_track("/nope"), r"topics with poses: /odom, /pose$"),
        (lambda bag: bag.pose_track("/duck"), r"'/duck' is duck_msgs/msg/Duck, not poses"),
        (lambda bag: bag.records("/camera", "/camera"), r"'/camera' is .*Image, not poses"),
        (lambda bag: bag.raw_messages(["/nope"]), r"no topic '/nope'; .* /camera, /duck"),
        (lambda bag: bag.images("/both"), r"'/both' is .*PoseStamped, .*Image, not images"),
    ],
)
def test_a_topic_that_will_not_do_is_answered_with_those_that_would(tmp_path, ask, message):
    messages = [("/duck", 0, DUCK), ("/camera", 0, image(0)), ("/pose", 0, pose(0, 1.0))]
    messages += [
        ("/odom", 0, at(Odometry(), 0)),
        ("/both", 0, image(0)),
        ("/both", 0, pose(0, 1.0)),
    ]
    with Bag(make_bag(tmp_path / "bag", messages)) as bag, pytest.raises(DataError, match=message):
        ask(bag)


def test_a_bag_without_images_says_so(tmp_path):
    with (
        Bag(make_bag(tmp_path / "bag", [("/pose", 0, pose(0, 1.0))])) as bag,
        pytest.raises(DataError, match="no topic '/camera'; topics with images: none"),
    ):
        bag.images("/camera")


def test_a_topic_without_messages_says_so(tmp_path):
    path = tmp_path / "bag"
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(path, version=8) as writer:
        writer.add_connection("/camera", "sensor_msgs/msg/Image", typestore=store)
        poses = writer.add_connection("/pose", "geometry_msgs/msg/PoseStamped", typestore=store)
        writer.write(poses, START, serialize_message(pose(0, 1.0)))
    with Bag(path) as bag, pytest.raises(DataError, match="'/camera' has no messages"):
        bag.images("/camera")


@pytest.mark.parametrize("storage", STORAGES)
def test_an_empty_bag_says_so(tmp_path, storage):
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin[storage.upper()]):
        pass
    with pytest.raises(DataError, match=r"bag: the bag is empty \(no messages\)"):
        Bag(tmp_path / "bag")


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_cut_storage_file_is_refused_or_stops_with_an_error(tmp_path, records, storage, keep):
    write_bag(tmp_path / "bag", records, storage=storage)
    (file,) = (path for path in (tmp_path / "bag").iterdir() if path.stem == "bag")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])

    def read_all():
        with Bag(tmp_path / "bag") as bag:
            return list(bag.images(IMAGE_TOPIC))

    with pytest.raises(DataError, match=r"bag: the bag (cannot be read|is damaged after \d+)"):
        read_all()


def test_metadata_of_another_bag_is_found_out(tmp_path, bag_path):
    other = make_bag(tmp_path / "other", [("/pose", 0, pose(0, 1.0))])
    shutil.copy(other / "other.db3", bag_path / "campus.db3")
    with (
        Bag(bag_path) as bag,
        pytest.raises(DataError, match=r"should have 6 messages but none .* `ros2 bag reindex`"),
    ):
        list(bag.images(COMPRESSED_IMAGE_TOPIC))


def test_messages_that_are_missing_are_reported(bag_path, caplog):
    text = (bag_path / "metadata.yaml").read_text()
    (bag_path / "metadata.yaml").write_text(text.replace("message_count: 6", "message_count: 7"))
    with Bag(bag_path) as bag, caplog.at_level(logging.WARNING):
        assert len(list(bag.images(COMPRESSED_IMAGE_TOPIC))) == 6
    assert "only 6 of 7 messages are there" in caplog.text
