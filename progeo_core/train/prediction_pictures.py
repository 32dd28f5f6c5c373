"""Pictures of queries beside their predictions, framed green where right and red where wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import Image, encode_jpeg, read_image
from progeo_core.train.benchmark import Benchmark, right_predictions

_HEIGHT, _FRAME = 256, 8
_GREEN, _RED, _BLUE, _GREY = (0, 160, 60), (200, 30, 30), (40, 90, 200), (128, 128, 128)


def save_predictions(
    benchmark: Benchmark,
    predictions: NDArray[np.int64],
    radius_m: float,
    folder: Path,
    *,
    count: int,
    only_wrong: bool = False,
) -> int:
    """Write one picture per query, NUMBER.jpg: the query (blue) and its `count` best predictions.

    With `only_wrong`, only of queries whose best prediction is wrong. Returns how many were
    written.
    """
    right = right_predictions(benchmark, predictions, radius_m)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.flatnonzero(~right[:, 0]) if only_wrong else np.arange(len(right))
    for query in chosen:
        views = [_view(benchmark.queries.images[int(query)], _BLUE)]
        for row, is_right in zip(predictions[query, :count], right[query], strict=False):
            if row >= 0:
                colour = _GREEN if is_right else _RED
                views.append(_view(benchmark.database.images[int(row)], colour))
        _write(folder / f"{query:06d}.jpg", np.concatenate(views, axis=1))
    return len(chosen)


def _view(path: Path, colour: tuple[int, int, int]) -> Image:
    """Return an image scaled to one height and framed; a grey square if it cannot be read."""
    try:
        image = read_image(path)
    except ImageError:
        image = np.full((_HEIGHT, _HEIGHT, 3), _GREY, np.uint8)
    width = max(1, round(image.shape[1] * _HEIGHT / image.shape[0]))
    scaled = cv2.resize(image, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(
        scaled, _FRAME, _FRAME, _FRAME, _FRAME, cv2.BORDER_CONSTANT, value=colour
    )
    return np.asarray(framed, np.uint8)


def _write(path: Path, picture: Image) -> None:
    try:
        path.write_bytes(encode_jpeg(picture))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); free some space") from error
