"""The IE Tower walkthroughs as a training folder with '@' names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from progeo_core.records.cosplace_names import ImageName, format_name

# Metres in the names stand for frames, one a second; clips lie far apart.
CLIP_SPACING_M = 1000.0
_LOW_WIDTH, _LOW_HEIGHT = 160, 90


class Frame(NamedTuple):
    """Frame of a clip; `number` counts seconds."""

    path: Path
    clip: str
    number: int


def read_frames(tower: Path) -> list[Frame]:
    """Read records.csv of the data set: image, video, frame."""
    with (tower / "records.csv").open(newline="", encoding="utf-8") as file:
        return [
            Frame(tower / row["image"], row["video"], int(row["frame"]))
            for row in csv.DictReader(file)
        ]


def write_folder(frames: Sequence[Frame], folder: Path) -> None:
    """Write the training folder.

    Every place is seen by two cameras: the real one, and a poor one with a third of its pixels a
    side.
    """
    clips = {clip: number for number, clip in enumerate(sorted({frame.clip for frame in frames}))}
    for frame in frames:
        name = ImageName(CLIP_SPACING_M * clips[frame.clip], float(frame.number))
        _link(frame.path, folder / format_name(name._replace(note="full")))
        _write_low(frame.path, folder / format_name(name._replace(note="low")))


def _link(image: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(image.resolve())


def _write_low(image: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(cv2.imread(str(image)))
    low = cv2.resize(pixels, (_LOW_WIDTH, _LOW_HEIGHT), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(name), low)
