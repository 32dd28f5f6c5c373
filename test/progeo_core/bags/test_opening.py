"""Bags that open, and what is said of those that do not."""

import pytest
import yaml

from progeo_core.bags.opening import open_bag
from progeo_core.bags.writer import write_bag
from progeo_core.errors import DataError
from progeo_core.records.records import read_records

QOS = """\
- history: 1
  depth: 2
  reliability: 2
  durability: 1
  deadline: {sec: 9223372036, nsec: 854775807}
  lifespan: {sec: 9223372036, nsec: 854775807}
  liveliness: 1
  liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
  avoid_ros_namespace_conventions: false
"""


@pytest.fixture
def records(campus_loop):
    return read_records(campus_loop / "records.csv").select(slice(6))


@pytest.fixture
def bag_path(tmp_path, records):
    write_bag(tmp_path / "campus", records, compressed=True)
    return tmp_path / "campus"


def test_a_missing_bag_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent: there is no such bag; give its folder"):
        open_bag(tmp_path / "absent")


def test_a_folder_without_metadata_names_the_command_that_repairs_it(bag_path):
    (bag_path / "metadata.yaml").unlink()
    with pytest.raises(DataError, match=r"no metadata.yaml.*`ros2 bag reindex .*campus`"):
        open_bag(bag_path)


def test_a_ros_1_bag_names_the_command_that_converts_it(tmp_path):
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(DataError, match=r"ROS 1 bag; convert it: rosbags-convert --src .*old.bag"):
        open_bag(tmp_path / "old.bag")


def test_a_rosbag2_folder_may_be_called_bag(corridor, tmp_path):
    write_bag(tmp_path / "drive.bag", read_records(corridor / "ref.csv").select(slice(2)))
    reader = open_bag(tmp_path / "drive.bag")
    assert reader.message_count == 4
    reader.close()


def test_another_file_is_no_bag(corridor):
    with pytest.raises(DataError, match=r"query.csv: the bag cannot be read"):
        open_bag(corridor / "query.csv")


@pytest.mark.parametrize(
    "metadata", ["", "just text", "rosbag2_bagfile_information: {version: 99}"]
)
def test_damaged_metadata_is_refused(bag_path, metadata):
    (bag_path / "metadata.yaml").write_text(metadata)
    with pytest.raises(DataError, match="campus: the bag cannot be read"):
        open_bag(bag_path)


@pytest.mark.parametrize("given", ["folder", "folder without metadata", "file"])
def test_an_mcap_whose_recorder_was_killed_names_what_recovers_it(tmp_path, records, given):
    path = tmp_path / "bag"
    write_bag(path, records, storage="mcap")
    (file,) = path.glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    if given == "folder without metadata":
        (path / "metadata.yaml").unlink()
    with pytest.raises(
        DataError, match=r"recorder was killed; run `mcap recover .*bag\.mcap"
    ) as said:
        open_bag(file if given == "file" else path)
    assert "reindex" not in str(said.value)


@pytest.mark.parametrize("old", ["message_count: 6", "name: /camera", "type: sensor_msgs"])
def test_topics_of_other_types_are_refused(bag_path, old):
    text = (bag_path / "metadata.yaml").read_text()
    lines = [
        f"{line.partition(':')[0]}: [1]" if old in line and "topic" not in line else line
        for line in text.splitlines()
    ]
    (bag_path / "metadata.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match="campus: the bag cannot be read"):
        open_bag(bag_path)


def test_metadata_with_another_qos_than_the_files_still_finds_the_messages(bag_path):
    # As in the bags of rosbag2's own tests, which start at time 0.
    file = bag_path / "metadata.yaml"
    stated = yaml.safe_load(file.read_text())
    information = stated["rosbag2_bagfile_information"]
    information["starting_time"]["nanoseconds_since_epoch"] = 0
    for topic in information["topics_with_message_count"]:
        topic["topic_metadata"]["offered_qos_profiles"] = QOS
        topic["topic_metadata"]["type_description_hash"] = f"RIHS01_{'0' * 64}"
    file.write_text(yaml.safe_dump(stated))
    reader = open_bag(bag_path)
    assert len(list(reader.messages())) == len(list(reader.messages(reader.connections))) == 12
    reader.close()


@pytest.mark.parametrize("name", ["drive_0.mcap.zstd", "drive_0.db3.zstd"])
def test_one_compressed_file_alone_is_no_bag(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x28\xb5\x2f\xfd")
    words = rf"give the folder with its metadata.yaml, or decompress it, zstd -d .*{name}, and"
    with pytest.raises(DataError, match=words):
        open_bag(tmp_path / name)
