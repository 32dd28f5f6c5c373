"""A picture of what was matched: the camera's image beside its best match."""

from __future__ import annotations

import cv2
import numpy as np

from progeo_core.images import Image, decode_image
from progeo_core.localizer import Localization

_HEIGHT = 240
_CAPTION_HEIGHT = 24
_GREEN, _AMBER = (70, 200, 90), (240, 170, 40)


def draw_match(query: Image, answer: Localization, thumbnail: bytes | None) -> Image:
    """Return query and best match side by side over a caption with state, score and place.

    thumbnail: JPEG of the best match; None draws the query alone. Returns RGB [264, w, 3].
    """
    pictures = [_to_height(query)]
    if thumbnail is not None:
        pictures.append(_to_height(decode_image(thumbnail, "thumbnail of the map")))
    strip = np.concatenate(pictures, axis=1)
    caption = np.zeros((_CAPTION_HEIGHT, strip.shape[1], 3), np.uint8)
    cv2.putText(
        caption,
        _caption(answer),
        (6, _CAPTION_HEIGHT - 8),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.42,
        _GREEN if answer.accepted else _AMBER,
        1,
        cv2.LINE_AA,
    )
    return np.concatenate([strip, caption])


def _caption(answer: Localization) -> str:
    """Return one line in ASCII, as OpenCV's font has nothing else."""
    line = f"{answer.state}  confidence {answer.estimate.confidence:.2f}"
    if not answer.matches:
        return line
    best = answer.matches[0]
    return f"{line}  similarity {best.similarity:.2f}  place {best.place_id}"


def _to_height(image: Image) -> Image:
    height, width = image.shape[:2]
    size = max(1, round(width * _HEIGHT / height)), _HEIGHT
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
