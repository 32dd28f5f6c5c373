from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.depth import depth_at, depth_from_raw, read_depth

MM = np.array([[0, 1000, 2500], [65535, 1, 65534]], np.uint16)
METRES = np.array([[np.nan, 1.0, 2.5], [np.nan, 0.001, 65.534]], np.float32)


def png(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def test_a_png_is_in_millimetres(tmp_path: Path) -> None:
    depth = read_depth(png(tmp_path / "depth.png", MM))
    assert depth.dtype == np.float32
    assert np.allclose(depth, METRES, equal_nan=True)


def test_a_tiff_is_in_metres(tmp_path: Path) -> None:
    values = METRES.copy()
    values[0, 0], values[1, 0] = np.inf, -1.0
    PIL.Image.fromarray(values).save(tmp_path / "depth.tiff")
    assert np.array_equal(read_depth(tmp_path / "depth.tiff"), METRES, equal_nan=True)


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((4, 4), np.uint8), "8 bits or with alpha is no depth; depth is a PNG of 16 bits"),
        (np.zeros((4, 4, 3), np.uint8), "in colour is no depth"),
        (np.zeros((4, 4, 3), np.uint16), "in colour is no depth"),
    ],
)
def test_a_picture_is_no_depth(tmp_path: Path, pixels: np.ndarray, problem: str) -> None:
    with pytest.raises(ImageError, match=f"depth.png: .*{problem}"):
        read_depth(png(tmp_path / "depth.png", pixels))


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    whole = png(tmp_path / "depth.png", MM).read_bytes()
    for data in (whole[:-5], whole[:40], b"", b"depth"):
        (tmp_path / "depth.png").write_bytes(data)
        with pytest.raises(ImageError, match=r"depth\.png: "):
            read_depth(tmp_path / "depth.png")
    with pytest.raises(ImageError, match=r"none\.png: the depth cannot be read"):
        read_depth(tmp_path / "none.png")


def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path) -> None:
    png(tmp_path / "depth.png", np.zeros((1, 60_000), np.uint16))
    data = bytearray((tmp_path / "depth.png").read_bytes())
    data[20:24] = (60_000).to_bytes(4, "big")
    (tmp_path / "depth.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"60000x60000 pixels are too many"):
        read_depth(tmp_path / "depth.png")


def test_depth_is_read_at_pixels_of_a_larger_image() -> None:
    depth = np.array([[1.0, 1.01, 1.02], [1.03, 1.04, 1.05]], np.float32)
    points = np.array([[0, 0], [2, 0], [4, 2], [1.1, 0.2], [6, 0], [-2, 0], [np.nan, 0]])
    metres = depth_at(depth, points, (6, 4))
    assert np.allclose(metres, [1.0, 1.01, 1.05, 1.01, np.nan, np.nan, np.nan], equal_nan=True)


def test_depth_on_an_edge_is_unknown() -> None:
    depth = np.full((5, 7), 2.0, np.float32)
    depth[:, 4:] = 3.0
    depth[:, 0] = np.nan
    metres = depth_at(depth, [[x, 2] for x in range(7)], (7, 5))
    assert np.allclose(metres, [np.nan, 2.0, 2.0, np.nan, np.nan, 3.0, 3.0], equal_nan=True)


@pytest.mark.parametrize("is_bigendian", [False, True])
def test_depth_of_a_message_is_metres(is_bigendian: bool) -> None:
    order = ">" if is_bigendian else "<"
    for encoding, values, kind in (("16UC1", MM, "u2"), ("32FC1", METRES, "f4")):
        rows = values.astype(order + kind).view(np.uint8)
        padded = np.pad(rows, ((0, 0), (0, 5)))
        depth = depth_from_raw(
            padded.reshape(-1),
            height=2,
            width=3,
            encoding=encoding,
            step=padded.shape[1],
            is_bigendian=is_bigendian,
        )
        assert np.allclose(depth, METRES, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoding": "rgb8"}, "'rgb8' is not depth: use one of 16UC1, mono16, 32FC1"),
        ({"step": 5}, "too few for its size"),
        ({"height": 3}, "too few for its size"),
        ({"height": 0}, "no pixels"),
        ({"height": 60_000, "width": 60_000}, "too many"),
    ],
)
def test_message_that_is_no_depth_is_refused(change: dict[str, object], problem: str) -> None:
    fields: dict[str, Any] = {
        "height": 2,
        "width": 3,
        "encoding": "16UC1",
        "step": 6,
        "is_bigendian": False,
    }
    with pytest.raises(ImageError, match=problem):
        depth_from_raw(MM.tobytes(), **(fields | change))
