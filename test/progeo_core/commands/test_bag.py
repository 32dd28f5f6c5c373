import pytest

from progeo_core.bags.reader import Bag


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_make_writes_images_and_poses(progeo, few_records, tmp_path, storage):
    bag = tmp_path / "drive"
    options = ["--rate", "5", "--compressed", "--storage", storage]
    done = progeo("bag", "make", bag, "--records", few_records, *options)
    assert done.code == 0, done.err
    assert "6 × sensor_msgs/CompressedImage" in done.out
    assert "6 × geometry_msgs/PoseStamped" in done.out
    with Bag(bag) as written:
        stamps = written.stamps("/camera/image_raw/compressed")
    assert (stamps[1:] - stamps[:-1] == 200_000_000).all()


def test_a_bag_is_never_overwritten(progeo, few_records, tmp_path):
    done = progeo("bag", "make", tmp_path, "--records", few_records)
    assert done.code == 2
    assert f"{tmp_path} exists, and a bag is never overwritten" in done.error


def test_bad_values_are_bad_use(progeo, few_records, tmp_path):
    command = ["bag", "make", tmp_path / "drive", "--records", few_records]
    for option, value in (("--rate", "0"), ("--rate", "fast"), ("--storage", "tape")):
        done = progeo(*command, option, value)
        assert done.code == 2
        assert option in done.error or "rate 0.0 Hz" in done.error
    assert not (tmp_path / "drive").exists()
