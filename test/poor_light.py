"""The same images in poor light: darker, noisy, with a colour cast and a shadow.

python -m test.poor_light progeo_core/demo_data/corridor/query.csv /tmp/dark
writes the images of a table and a table of them, for `progeo evaluate --queries`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.images.codec import Image, encode_jpeg, read_image

# Light that is left, channel by channel, and in the shadow.
_LIGHT, _CAST, _SHADOW = (0.25, 0.6), (0.85, 1.15), (0.4, 0.7)
# Electrons of a white pixel, and the noise of reading one out.
_FULL_WELL, _READ_NOISE = 8000.0, 10.0
_GAMMA = 2.2
# Width of the edge of a shadow, as a share of the image's width.
_EDGE = 0.02


def in_poor_light(image: Image, seed: int) -> Image:
    """Return an RGB image [h, w, 3] as poor light shows it; each seed is another light."""
    rng = np.random.default_rng(seed)
    light = (image / 255.0) ** _GAMMA * rng.uniform(*_LIGHT) * rng.uniform(*_CAST, 3)
    light *= _shadow(image.shape[:2], rng)[..., None]
    electrons = rng.poisson(light * _FULL_WELL) + rng.normal(0.0, _READ_NOISE, light.shape)
    seen = np.clip(electrons / _FULL_WELL, 0.0, 1.0) ** (1.0 / _GAMMA)
    return np.asarray(np.round(255.0 * seen), np.uint8)


def _shadow(size: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of the light [h, w]: a band across the image has less of it."""
    height, width = size
    middle = rng.uniform([0.0, 0.0], [width, height])
    angle = rng.uniform(0.0, np.pi)
    across = (np.arange(width) - middle[0]) * np.cos(angle)
    across = across + ((np.arange(height) - middle[1]) * np.sin(angle))[:, None]
    inside = (np.abs(across) < rng.uniform(0.1, 0.3) * width).astype(np.float64)
    soft = cv2.GaussianBlur(inside, (0, 0), _EDGE * width)
    return np.asarray(1.0 - soft * (1.0 - rng.uniform(*_SHADOW)), np.float64)


def write_in_poor_light(table: Path, folder: Path) -> Path:
    """Write the images of a records table in poor light; return the table of them."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folder.mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(rows):
        image = in_poor_light(read_image(table.parent / row["image"]), seed)
        row["image"] = f"{seed:05}.jpg"
        (folder / row["image"]).write_bytes(encode_jpeg(image))
    with (folder / table.name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / table.name


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="records.csv")
    parser.add_argument("folder", type=Path, help="folder to write")
    options = parser.parse_args(argv)
    print(write_in_poor_light(options.table, options.folder))


if __name__ == "__main__":
    main()
