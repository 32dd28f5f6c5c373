import cv2
import numpy as np
import pytest

from progeo_core.bags.bag_source import source_of_bag
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


def test_make_writes_what_a_metric_map_needs(progeo, few_records, tmp_path):
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((4, 6), 2000, np.uint16))
    header, *lines = few_records.read_text().split()
    beside = f",0.5,-0.5,0.5,-0.5,{tmp_path}/depth.png"
    rows = [f"{header},qx,qy,qz,qw,depth", *(line + beside for line in lines)]
    few_records.write_text("\n".join(rows))
    calibration = tmp_path / "camera.yaml"
    calibration.write_text(
        "{image_width: 640, image_height: 480, distortion_model: plumb_bob,"
        " camera_matrix: {data: [500, 0, 320, 0, 500, 240, 0, 0, 1]},"
        " distortion_coefficients: {data: [0, 0, 0, 0, 0]}}"
    )
    command = ["bag", "make", tmp_path / "drive", "--records", few_records]
    done = progeo(*command, "--camera-info", calibration)
    assert done.code == 0, done.err
    source = source_of_bag(
        tmp_path / "drive",
        "/camera/image_raw",
        "/ground_truth/camera_pose",
        depth_topic="/camera/depth/image_raw",
        camera_pose=True,
    )
    (lens,) = set(source.intrinsics.values())
    assert (lens.width, lens.focal_x) == (640, 500.0)
    np.testing.assert_allclose(source.records.orientation, [[0.5, -0.5, 0.5, -0.5]] * 6)
    depths = list(source.depths())
    np.testing.assert_array_equal(depths, np.full((6, 4, 6), 2.0))


def test_a_bag_is_never_overwritten(progeo, few_records, tmp_path):
    done = progeo("bag", "make", tmp_path, "--records", few_records)
    assert done.code == 2
    assert f"{tmp_path} exists, and a bag is never overwritten" in done.error


def test_bad_values_are_bad_use(progeo, few_records, tmp_path):
    command = ["bag", "make", tmp_path / "drive", "--records", few_records]
    for option, value in (("--rate", "0"), ("--rate", "fast"), ("--storage", "tape")):
        done = progeo(*command, option, value)
        assert done.code == 2
        assert option in done.error or "rate 0 Hz" in done.error
    assert not (tmp_path / "drive").exists()
