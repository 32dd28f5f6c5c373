"""A picture of what was matched: the camera's image beside its best match."""

from __future__ import annotations

import cv2
import numpy as np

from progeo_core.images.codec import Image, decode_image
from progeo_core.localization.answer import Localization

_HEIGHT = 240
_CAPTION_HEIGHT = 28
_GAP = 4
_MARGIN = 10
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_DUPLEX, 0.42
_BACKGROUND, _TEXT = (24, 27, 31), (235, 238, 242)
# The two colours differ in lightness, too, for eyes that do not tell green from orange.
_ACCEPTED, _WITHHELD = (86, 180, 233), (230, 159, 0)


def draw_match(query: Image, answer: Localization, thumbnail: bytes | None) -> Image:
    """Return query (left) and best match (right) over a caption with state, scores and place.

    thumbnail: JPEG of the best match; None draws the query alone. Returns RGB [268, w, 3].
    """
    pictures = [_scaled(query)]
    if thumbnail is not None:
        pictures.append(_scaled(decode_image(thumbnail, "thumbnail of the map")))
    caption = _caption(answer)
    (text_width, _), _ = cv2.getTextSize(caption, _FONT, _FONT_SCALE, 1)
    width = sum(picture.shape[1] for picture in pictures) + _GAP * (len(pictures) - 1)
    width = max(width, text_width + 4 * _MARGIN)
    canvas = np.full((_HEIGHT + _CAPTION_HEIGHT, width, 3), _BACKGROUND, np.uint8)
    left = 0
    for picture in pictures:
        canvas[:_HEIGHT, left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP
    middle = _HEIGHT + _CAPTION_HEIGHT // 2
    colour = _ACCEPTED if answer.accepted else _WITHHELD
    cv2.circle(canvas, (_MARGIN + 4, middle), 5, colour, cv2.FILLED, cv2.LINE_AA)
    start = (3 * _MARGIN, middle + 5)
    cv2.putText(canvas, caption, start, _FONT, _FONT_SCALE, _TEXT, 1, cv2.LINE_AA)
    return canvas


def _caption(answer: Localization) -> str:
    """Return one line in ASCII, as OpenCV's fonts have nothing else."""
    line = f"{answer.state}  confidence {answer.estimate.confidence:.2f}"
    if not answer.matches:
        return line
    best = answer.matches[0]
    return f"{line}  similarity {best.similarity:.2f}  place {best.place_id}"


def _scaled(image: Image) -> Image:
    height, width = image.shape[:2]
    size = max(1, round(width * _HEIGHT / height)), _HEIGHT
    smaller = height > _HEIGHT
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
