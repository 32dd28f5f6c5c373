import dataclasses

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.bags.bag_source import source_of_bag
from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import write_bag
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import read_image
from progeo_core.images.depth import depth_at
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.records.image_source import (
    FileSource,
    JoinedSource,
    source_of_arrays,
    source_of_folder,
    source_of_records,
)
from progeo_core.records.records import read_records

TOPICS = ("/camera/image_raw", "/ground_truth/pose")


def test_files_come_in_the_order_of_the_records(corridor):
    source = source_of_records(corridor / "ref.csv").select(np.array([3, 20, 21]))
    images = list(source.images())
    assert [path.name for path in source.records.images] == [
        "0000003.jpg",
        "0000020.jpg",
        "0000021.jpg",
    ]
    for image, path in zip(images, source.records.images, strict=True):
        np.testing.assert_array_equal(image, read_image(path))


def test_images_of_a_bag_are_those_of_the_chosen_rows(corridor, tmp_path):
    records = read_records(corridor / "ref.csv").select(slice(0, 8))
    write_bag(tmp_path / "drive", records)
    source = source_of_bag(tmp_path / "drive", *TOPICS)
    assert len(source.records) == 8
    assert source.unplaced == ()
    chosen = source.select(np.array([1, 4, 7])).select(np.array([0, 2]))
    images = list(chosen.images())
    assert chosen.records.stamp_ns.tolist() == records.stamp_ns[[1, 7]].tolist()
    for image, row in zip(images, (1, 7), strict=True):
        np.testing.assert_array_equal(image, read_image(records.images[row]))


def test_a_damaged_image_of_a_bag_stays_in_its_place(corridor, tmp_path, monkeypatch):
    records = read_records(corridor / "ref.csv").select(slice(0, 4))
    write_bag(tmp_path / "drive", records)
    source = source_of_bag(tmp_path / "drive", *TOPICS)
    real = Bag.images

    def damaged(self, topic, rows):
        for row, image in enumerate(real(self, topic, rows)):
            yield image._replace(image=ImageError("damaged")) if row == 2 else image

    monkeypatch.setattr(Bag, "images", damaged)
    kinds = [isinstance(image, ImageError) for image in source.images()]
    assert kinds == [False, False, True, False]


def test_joined_sources_read_one_after_another(corridor, tmp_path):
    parts = []
    for name, rows in (("first", slice(0, 4)), ("second", slice(4, 6)), ("third", slice(6, 9))):
        write_bag(tmp_path / name, read_records(corridor / "ref.csv").select(rows))
        parts.append(source_of_bag(tmp_path / name, *TOPICS))
    whole = JoinedSource(tuple(parts))
    assert whole.records.traverse == ("first",) * 4 + ("second",) * 2 + ("third",) * 3
    chosen = whole.select(np.array([0, 3, 7, 8]))
    assert len(chosen.parts) == 2
    files = read_records(corridor / "ref.csv").images
    for image, row in zip(chosen.images(), (0, 3, 7, 8), strict=True):
        np.testing.assert_array_equal(image, read_image(files[row]))


def test_a_folder_without_positions_is_refused(corridor):
    with pytest.raises(DataError, match="has a position"):
        source_of_folder(corridor / "ref")


def test_arrays_keep_their_images_and_poses_together():
    images = [np.full((4, 5 + row, 3), row, np.uint8) for row in range(4)]
    source = source_of_arrays(images, [[row, 2.0 * row] for row in range(4)], yaw_rad=range(4))
    chosen = source.select(np.array([1, 3]))
    shown = [image for image in chosen.images() if not isinstance(image, ImageError)]
    assert [int(image[0, 0, 0]) for image in shown] == [1, 3]
    np.testing.assert_array_equal(chosen.records.position, [[1, 2, 0], [3, 6, 0]])
    np.testing.assert_array_equal(chosen.records.yaw_rad, [1, 3])
    assert [str(name) for name in chosen.records.images] == ["1", "3"]
    assert source.records.stamp_ns.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("images", "position", "yaw_rad", "said"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros((3, 2)), None, "2 images and positions"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2), None, "2 images and positions"),
        (np.zeros((2, 4, 4, 3)), np.zeros((2, 2)), None, "image 0: float64"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros((2, 2)), None, r"image 0: uint8 \[4, 4\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 2)), [0.0], "yaw_rad has the shape"),
    ],
)
def test_arrays_of_other_shapes_are_refused(images, position, yaw_rad, said):
    with pytest.raises(DataError, match=said):
        source_of_arrays(images, position, yaw_rad)


CALIBRATION = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)


def with_depth(records, folder):
    """Give rows of their own depth to records: one good, none, one that is a picture, good."""
    for name, dtype in (("0.png", np.uint16), ("2.png", np.uint8), ("3.png", np.uint16)):
        cv2.imwrite(str(folder / name), np.full((4, 6), int(name[0]) + 1, dtype))
    depth = (folder / "0.png", None, folder / "2.png", folder / "3.png")
    return dataclasses.replace(records.select(slice(0, 4)), depth=depth)


def test_depths_come_in_the_order_of_the_records(corridor, tmp_path, caplog):
    records = with_depth(read_records(corridor / "ref.csv"), tmp_path)
    source = FileSource(records)
    depths = list(source.depths())
    assert [None if depth is None else round(float(depth[0, 0]) * 1e3) for depth in depths] == [
        *(1, None, None, 4),
    ]
    (message,) = caplog.messages
    assert message.startswith(f"1 depth images are left out, first: {tmp_path}/2.png: a picture")
    whole = JoinedSource((source.select(np.array([1, 3])), source))
    assert [depth is None for depth in whole.depths()] == [True, False, False, True, True, False]


def test_one_calibration_is_of_every_camera(corridor):
    source = source_of_records(corridor / "ref.csv", CALIBRATION).select(np.arange(3))
    assert source.intrinsics == {"front": CALIBRATION}
    cameras = dataclasses.replace(source.records, camera=("left", "right", "left"))
    assert FileSource(cameras, (), CALIBRATION).intrinsics.keys() == {"left", "right"}
    assert source_of_records(corridor / "ref.csv").intrinsics == {}
    other = dataclasses.replace(CALIBRATION, focal_x=400.0)
    parts = FileSource(cameras, (), other), source
    assert JoinedSource(parts).intrinsics == {"left": other, "right": other, "front": CALIBRATION}


def ray_depth(lens, pose, size):
    """Return the depth image (m) of a tilted floor z = 0.2 x as a camera sees it."""
    width, height = size
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    rays = lens.scaled(width, height).normalized(np.stack([across, down], axis=-1).reshape(-1, 2))
    ahead = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    directions, normal = ahead @ pose.rotation.T, np.array([-0.2, 0.0, 1.0])
    metres = -(pose.position @ normal) / (directions @ normal)
    return np.where((metres > 0.0) & (metres < 30.0), metres, np.nan).reshape(height, width)


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_depth_pose_and_calibration_of_records_agree(tmp_path, model):
    distortion = {"pinhole": (-0.2, 0.05, 0.001, 0.0, 0.0), "fisheye": (-0.02, 0.01, 0.0, 0.0)}
    lens = Intrinsics(640, 480, 420.0, 420.0, 315.0, 245.0, distortion[model], model)
    looks = Rotation.from_euler("xyz", [[-130.0, 0.0, 0.0], [-125.0, 5.0, 20.0]], degrees=True)
    lines = ["image,x_m,y_m,z_m,qx,qy,qz,qw,depth"]
    for row, turn in enumerate(looks.as_quat()):
        pose = CameraPose(np.array([0.3 * row, 0.1 * row, 2.0]), turn)
        depth = ray_depth(lens, pose, (320, 240))
        cv2.imwrite(str(tmp_path / f"{row}.png"), np.nan_to_num(1000 * depth).astype(np.uint16))
        (tmp_path / f"{row}.jpg").touch()
        numbers = ",".join(f"{number:.7f}" for number in (*pose.position, *turn))
        lines.append(f"{row}.jpg,{numbers},{row}.png")
    (tmp_path / "records.csv").write_text("\n".join(lines))
    source = source_of_records(tmp_path / "records.csv", lens)
    depths = [depth for depth in source.depths() if depth is not None]
    size = (lens.width, lens.height)
    first, second = map(CameraPose, source.records.position, source.records.orientation)
    pixels = np.random.default_rng(0).uniform((20, 20), (620, 460), (2000, 2))
    rays, metres = lens.normalized(pixels), depth_at(depths[0], pixels, size)
    points = first.to_map(np.concatenate([rays, np.ones((2000, 1))], axis=1) * metres[:, None])
    height = np.abs(points[:, 2] - 0.2 * points[:, 0])
    assert np.isfinite(height).sum() > 1000
    assert np.nanmax(height / metres) < 0.02
    there = second.to_camera(points)
    seen = depth_at(depths[1], lens.pixels(there), size)
    both = np.isfinite(seen)
    assert np.count_nonzero(both) > 1000
    apart = np.abs(there[both, 2] / seen[both] - 1.0)
    # The nearest pixel of depth is up to half a pixel away, which is more on a floor far ahead.
    assert np.median(apart) < 0.005
    assert np.quantile(apart, 0.95) < 0.02


def test_arrays_have_a_calibration_and_no_depth():
    images = [np.zeros((480, 640, 3), np.uint8)] * 3
    source = source_of_arrays(images, np.zeros((3, 2)), calibration=CALIBRATION)
    chosen = source.select(np.array([0, 2]))
    assert chosen.intrinsics == {"": CALIBRATION}
    assert list(chosen.depths()) == [None, None]
