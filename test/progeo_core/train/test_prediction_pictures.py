from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.images.codec import encode_jpeg, read_image
from progeo_core.train.benchmark import find_benchmarks, right_predictions
from progeo_core.train.prediction_pictures import save_predictions

RADIUS_M = 5.0


def test_pictures_frame_right_green_and_wrong_red(dataset: Path, tmp_path: Path) -> None:
    (benchmark,) = find_benchmarks(str(dataset / "val"), "val")
    predictions = np.tile(np.arange(20), (20, 1))
    right = right_predictions(benchmark, predictions, RADIUS_M)
    written = save_predictions(benchmark, predictions, RADIUS_M, tmp_path, count=2)
    assert written == len(list(tmp_path.iterdir())) == 20
    wrong = save_predictions(
        benchmark, predictions, RADIUS_M, tmp_path / "wrong", count=2, only_wrong=True
    )
    assert wrong == (~right[:, 0]).sum() > 0
    for query, is_right in ((0, True), (19, False)):
        assert right[query, 0] == is_right
        picture = read_image(tmp_path / f"{query:06d}.jpg")
        frame = picture[3, picture.shape[1] // 2].astype(int)
        assert (frame[1] > frame[0]) == is_right


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Path:
    """Return a folder with one query and a database of two images, the second unreadable."""
    for name, content in (
        ("queries/@1@1@.jpg", encode_jpeg(np.full((64, 64, 3), 200, np.uint8))),
        ("database/@1@1@.jpg", encode_jpeg(np.full((64, 128, 3), 200, np.uint8))),
        ("database/@2@1@.jpg", b"broken"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_an_unreadable_image_is_a_grey_square(benchmark_folder: Path) -> None:
    (benchmark,) = find_benchmarks(str(benchmark_folder), "test")
    predictions = np.array([[0, 1, -1]])
    assert (
        save_predictions(benchmark, predictions, RADIUS_M, benchmark_folder / "out", count=3) == 1
    )
    picture = read_image(benchmark_folder / "out" / "000000.jpg")
    # One square, one twice as wide, one grey square; nothing for a prediction that is none.
    assert picture.shape == (256 + 16, 256 + 512 + 256 + 3 * 16, 3)
    assert abs(int(picture[136, -136].mean()) - 128) < 4


def test_a_folder_that_cannot_be_written_is_named(benchmark_folder: Path) -> None:
    (benchmark,) = find_benchmarks(str(benchmark_folder), "test")
    (benchmark_folder / "out" / "000000.jpg").mkdir(parents=True)
    with pytest.raises(DataError, match=r"000000.jpg: cannot be written"):
        save_predictions(benchmark, np.array([[0]]), RADIUS_M, benchmark_folder / "out", count=1)
