from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from progeo_core.descriptors.descriptor_file import describe_to_file
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.images.codec import Image


class Brightness:
    """Encoder whose descriptor is [cos b, sin b] of the brightness b, scaled."""

    def __init__(self, scale: float = 1.0, normalized: bool = True) -> None:
        self.fingerprint = ModelFingerprint("own", 2, "8x8", "0" * 64, normalized, name="own")
        self._scale = scale

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        brightness = np.array([image.mean() / 255 for image in images])
        rows = np.stack([np.cos(brightness), np.sin(brightness)], axis=1)
        return np.asarray(rows * self._scale, np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Return 40 images from dark to bright; the fourth is damaged."""
    paths = [tmp_path / f"{number:02d}.png" for number in range(40)]
    for number, path in enumerate(paths):
        Pillow.new("RGB", (8, 8), (number * 6,) * 3).save(path)
    paths[3].write_bytes(b"no image")
    return paths


def test_rows_are_in_the_order_of_the_images_that_can_be_read(
    pictures: list[Path], tmp_path: Path
) -> None:
    done: list[int] = []
    target = tmp_path / "out.npy"
    report = describe_to_file(target, pictures, Brightness(), advance=done.append)
    rows = np.load(target)
    assert rows.dtype == np.float32
    assert report.images == tuple(str(path) for path in pictures if path != pictures[3])
    assert [str(pictures[3]) in said for said in report.skipped] == [True]
    assert rows.shape == (39, 2)
    assert (np.diff(rows[:, 1]) > 0).all()
    assert sum(done) == len(pictures)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (float("nan"), "none of 40 images can be used, first: .*00.png: the model fails on this"),
        (3.0, "00.png: its descriptor by own .* has the length 3 and not 1"),
    ],
)
def test_a_model_whose_descriptors_cannot_be_compared_is_one_line(
    pictures: list[Path], tmp_path: Path, scale: float, message: str
) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"of an earlier run")
    with pytest.raises(DataError, match=message) as refusal:
        describe_to_file(target, pictures, Brightness(scale))
    assert "\n" not in str(refusal.value)
    assert target.read_bytes() == b"of an earlier run"


def test_models_may_leave_descriptors_as_long_as_they_are(
    pictures: list[Path], tmp_path: Path
) -> None:
    describe_to_file(tmp_path / "out.npy", pictures, Brightness(3.0, normalized=False))
    assert np.linalg.norm(np.load(tmp_path / "out.npy"), axis=1) == pytest.approx(3)


def test_where_no_image_can_be_used_there_is_no_file(pictures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 1 images can be used, first: .*03"):
        describe_to_file(tmp_path / "out.npy", pictures[3:4], Brightness())
    assert not (tmp_path / "out.npy").exists()
    with pytest.raises(DataError, match=r"out\.npy: cannot be written"):
        describe_to_file(tmp_path / "none" / "out.npy", pictures, Brightness())


def test_a_failure_keeps_the_rows_and_the_names_of_the_run_before(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, named = tmp_path / "out.npy", tmp_path / "out.json"
    describe_to_file(target, pictures[:2], Brightness())
    before = target.read_bytes(), named.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        with pytest.raises(DataError, match=r"out\.npy: cannot be written .No space left"):
            describe_to_file(target, pictures, Brightness())
    assert (target.read_bytes(), named.read_bytes()) == before
    describe_to_file(target, pictures, Brightness())
    assert len(json.loads(named.read_text())["images"]) == len(np.load(target)) == 39
    left = {path.name for path in tmp_path.iterdir()} - {path.name for path in pictures}
    assert left == {"out.npy", "out.json"}
