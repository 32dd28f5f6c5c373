"""Images with known positions for a fleet's store, and what describes them in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.fleet.store import FleetStore
from progeo_core.images.codec import Image
from test.fleet_places import MODEL

BROKEN = 3


class GreyEncoder:
    """Encoder whose descriptor is an image of 4 x 4 grey pixels; counts what it has described."""

    fingerprint = MODEL
    runs_in = "numpy"
    described = 0

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        self.described += len(images)
        small = [cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA) for image in images]
        return np.array(small, np.float32).mean(axis=3).reshape(len(images), -1) + 1.0


def write_records(folder: Path, images: Sequence[Path], count: int) -> Path:
    """Write a table of so many rows, which repeats images lap by lap, with one broken image."""
    (folder / "broken.jpg").write_bytes(images[0].read_bytes()[:200])
    lines = ["image,x_m,y_m,traverse"]
    for row in range(count):
        image = "broken.jpg" if row == BROKEN else images[row % len(images)]
        lines.append(f"{image},{row},0,lap{row // len(images)}")
    path = folder / "drive.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def content(store: FleetStore) -> dict[str, tuple[object, ...]]:
    """Return all that a store has of every place, by id; a place that is there twice fails."""
    found: dict[str, tuple[object, ...]] = {}
    for block in store.region(None):
        places = block.places
        for row, one in enumerate(block.ids):
            assert one not in found
            view = places.views[row]
            features = view and view.features
            found[one] = (
                block.sessions[row],
                places.image[row],
                places.traverse[row],
                block.descriptors[row].tobytes(),
                places.thumbnail[row],
                np.asarray(places.position)[row].tobytes(),
                features and (features.points.tobytes(), features.descriptors.tobytes()),
            )
    return found
