"""How far one pass of a corridor is ahead of another, by what their images show.

`python -m test.benchmarks.pass_offset DATA` reads the folder corridor of DATA. An image that was
taken further ahead shows the same things larger: the magnification between an image of one pass and
each of some of the other, over their numbers, crosses 1 where both were taken at one place. A pass
against itself is the control, which has to say 0. Nothing of the maps or their alignment is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import Keypoints, shared_extractor
from progeo_core.verification.feature_matching import mutual_matches

# Images are enlarged before features are found; those of the lens's rim are left out (pixels).
ENLARGED, CENTER, RIM = 3, (228.0, 180.0), 155.0
FEATURES, MIN_COSINE, MIN_INLIERS, INLIER_PX = 1500, 0.75, 8, 8.0
# Both directions of a pair agree about the logarithm of the magnification to this.
AGREES = 0.05
REACH, STRETCH, SPANS = 5, 8, 4


def main() -> None:
    """Print the offset of each pass from the other, in images, and of its quarters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "corridor"
    passes = {name: _features(folder / name) for name in ("ref", "query")}
    for one, other in (("query", "ref"), ("ref", "query"), ("ref", "ref"), ("query", "query")):
        pairs = _pairs(passes[one], passes[other], nearest=0 if one != other else 1)
        offset, sigma = line(pairs), _spread(pairs)
        spans = np.array_split(np.arange(len(passes[one])), SPANS)
        parts = [f"{line(pairs[np.isin(pairs[:, 0], span)]):.1f}" for span in spans]
        print(
            f"{one} in {other}: {offset:.2f} ± {sigma:.2f} of {len(pairs)} pairs; by quarters"
            f" {', '.join(parts)}",
            flush=True,
        )


def _features(folder: Path) -> list[Keypoints]:
    found = []
    for path in sorted(folder.glob("*.jpg")):
        small = read_image(path)
        size = ENLARGED * small.shape[1], ENLARGED * small.shape[0]
        image = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        one = shared_extractor("cpu").find([image], FEATURES)[0]
        inside = np.linalg.norm(one.points - np.array(CENTER), axis=1) < RIM
        found.append(Keypoints(one.points[inside], one.descriptors[inside], one.size))
    return found


def _pairs(one: Sequence[Keypoints], other: Sequence[Keypoints], nearest: int) -> FloatArray:
    """Return [n, 4] number, numbers ahead (`nearest` or more), log magnification and inliers."""
    rows = []
    for number, first in enumerate(one):
        for ahead in range(-REACH, REACH + 1):
            if 0 <= number + ahead < len(other) and abs(ahead) >= nearest:
                found = _magnification(first, other[number + ahead])
                if found is not None:
                    rows.append((number, ahead, *found))
    return np.array(rows, np.float64)


def _magnification(first: Keypoints, second: Keypoints) -> tuple[float, int] | None:
    """Return the logarithm of how much larger the first shows things, None where unclear."""
    matches = mutual_matches(first.descriptors, second.descriptors, MIN_COSINE)
    if len(matches.first) < MIN_INLIERS:
        return None
    here, there = first.points[matches.first], second.points[matches.second]
    logs, inliers = [], []
    for source, target, sign in ((there, here, 1.0), (here, there, -1.0)):
        cv2.setRNGSeed(1)
        similarity, kept = cv2.estimateAffinePartial2D(
            source, target, ransacReprojThreshold=INLIER_PX
        )
        if similarity is None:
            return None
        logs.append(sign * float(np.log(np.hypot(similarity[0, 0], similarity[1, 0]))))
        inliers.append(int(kept.sum()))
    if min(inliers) < MIN_INLIERS or abs(logs[0] - logs[1]) > AGREES:
        return None
    return float(np.mean(logs)), min(inliers)


def line(pairs: FloatArray) -> float:
    """Return how many images ahead the magnification is 1, by a robust line through pairs."""
    ahead, log, inliers = pairs[:, 1], pairs[:, 2], np.minimum(pairs[:, 3], 60.0)
    weight = np.sqrt(inliers)
    for _ in range(20):
        columns = np.stack([ahead, np.ones_like(ahead)], axis=1) * weight[:, None]
        slope, level = np.linalg.lstsq(columns, log * weight, rcond=None)[0]
        apart = np.abs(log - slope * ahead - level)
        weight = np.sqrt(inliers / (1.0 + (apart / max(1.5 * np.median(apart), 0.005)) ** 2))
    return float(-level / slope)


def _spread(pairs: FloatArray) -> float:
    """Return the standard deviation of the offset over stretches drawn anew (bootstrap)."""
    stretch = pairs[:, 0] // STRETCH
    parts = [pairs[stretch == one] for one in np.unique(stretch)]
    random = np.random.default_rng(0)
    drawn = (random.integers(0, len(parts), len(parts)) for _ in range(200))
    return float(np.std([line(np.concatenate([parts[one] for one in rows])) for rows in drawn]))


if __name__ == "__main__":
    main()
