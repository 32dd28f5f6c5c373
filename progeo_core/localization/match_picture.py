"""A picture of what was matched: the camera's image beside a place of the map."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import cv2
import numpy as np

from progeo_core.images.codec import Image, decode_image
from progeo_core.localization.answer import Localization

if TYPE_CHECKING:
    from progeo_core.verification.metric_localizer import SeenPlace

_HEIGHT = 240
_CAPTION_HEIGHT = 28
_GAP = 4
_MARGIN = 10
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_DUPLEX, 0.42
_BACKGROUND, _TEXT = (24, 27, 31), (235, 238, 242)
# The two colours differ in lightness, too, for eyes that do not tell green from orange.
_ACCEPTED, _WITHHELD = (86, 180, 233), (230, 159, 0)
# More lines than this hide the images.
_LINES = 50
# OpenCV takes points in fractions of a pixel of this many bits.
_SHIFT = 4


def draw_match(query: Image, answer: Localization, thumbnail: bytes | None) -> Image:
    """Return query (left) and place (right) over a caption with state, scores and place.

    thumbnail: JPEG of `answer.shown_place`; None draws the query alone. Returns RGB [268, w, 3].
    """
    pair, caption = draw_pair(query, answer, thumbnail), _caption(answer)
    _label(pair, 0, "query")
    if thumbnail is not None:
        _label(pair, _scaled_width(query) + _GAP, f"map: place {answer.shown_place}")
    (text_width, _), _ = cv2.getTextSize(caption, _FONT, _FONT_SCALE, 1)
    width = max(pair.shape[1], text_width + 4 * _MARGIN)
    canvas = np.full((_HEIGHT + _CAPTION_HEIGHT, width, 3), _BACKGROUND, np.uint8)
    canvas[:_HEIGHT, : pair.shape[1]] = pair
    middle = _HEIGHT + _CAPTION_HEIGHT // 2
    colour = _ACCEPTED if answer.accepted else _WITHHELD
    cv2.circle(canvas, (_MARGIN + 4, middle), 5, colour, cv2.FILLED, cv2.LINE_AA)
    _write(canvas, (3 * _MARGIN, middle + 5), caption)
    return canvas


def draw_pair(query: Image, answer: Localization, thumbnail: bytes | None) -> Image:
    """Return query (left) and place (right) as RGB [240, w, 3].

    Where landmarks tell the pose, lines join what shows them on both sides. thumbnail: as for
    `draw_match`.
    """
    left = _scaled(query)
    if thumbnail is None:
        return left.copy()
    right = _scaled(decode_image(thumbnail, "thumbnail of the map"))
    gap = np.full((_HEIGHT, _GAP, 3), _BACKGROUND, np.uint8)
    canvas = np.concatenate([left, gap, right], axis=1)
    if answer.metric is not None and answer.metric.best is not None:
        _draw_lines(canvas, answer.metric.best, left.shape[1], right.shape[1])
    return canvas


def _draw_lines(canvas: Image, best: SeenPlace, query_width: int, place_width: int) -> None:
    """Join the points of a query and a place, each pair in a colour of its own."""
    count = len(best.query)
    # The most reliable come first; evenly chosen ones show how far over the image they reach.
    shown = np.unique(np.linspace(0, count - 1, min(count, _LINES)).round().astype(np.int64))
    starts = best.query[shown] * (query_width, _HEIGHT)
    ends = best.place[shown] * (place_width, _HEIGHT) + (query_width + _GAP, 0)
    lines = canvas.copy()
    # Colours by height, so that lines which cross others stand out.
    for start, end in zip(starts, ends, strict=True):
        colour = _colour(float(start[1]) / _HEIGHT)
        first, last = (_fixed_point(point) for point in (start, end))
        cv2.line(lines, first, last, colour, 1, cv2.LINE_AA, _SHIFT)
        for point in (first, last):
            cv2.circle(canvas, point, 3 << _SHIFT, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(lines, 0.6, canvas, 0.4, 0.0, dst=canvas)


def _fixed_point(point: np.ndarray) -> tuple[int, int]:
    x, y = np.round(point * (1 << _SHIFT)).astype(int).tolist()
    return x, y


def _colour(share: float) -> tuple[int, int, int]:
    """Return a bright colour from yellow (0) to blue (1)."""
    red, green, blue = colorsys.hsv_to_rgb(0.13 + 0.5 * share, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _label(canvas: Image, left: int, name: str) -> None:
    """Write a name into the upper left corner of a picture, over a dark ground."""
    (width, height), _ = cv2.getTextSize(name, _FONT, _FONT_SCALE, 1)
    canvas[: height + _MARGIN, left : left + width + _MARGIN] = _BACKGROUND
    _write(canvas, (left + _MARGIN // 2, height + _MARGIN // 2), name)


def _write(canvas: Image, start: tuple[int, int], text: str) -> None:
    cv2.putText(canvas, text, start, _FONT, _FONT_SCALE, _TEXT, 1, cv2.LINE_AA)


def _caption(answer: Localization) -> str:
    """Return one line in ASCII, as OpenCV's fonts have nothing else."""
    line = f"{answer.state}  confidence {answer.estimate.confidence:.2f}"
    metric = answer.metric
    if metric is not None:
        line += f"  {metric.landmarks} landmarks"
        if metric.best is not None:
            line += f", {len(metric.best.query)} of place {metric.best.place_id}"
        return line
    if not answer.matches:
        return line
    best = answer.matches[0]
    return f"{line}  similarity {best.similarity:.2f}  place {best.place_id}"


def _scaled_width(image: Image) -> int:
    height, width = image.shape[:2]
    scaled: int = max(1, round(width * _HEIGHT / height))
    return scaled


def _scaled(image: Image) -> Image:
    size = _scaled_width(image), _HEIGHT
    interpolation = cv2.INTER_AREA if image.shape[0] > _HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
