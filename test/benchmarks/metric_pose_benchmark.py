"""Camera pose of an office image of 540 × 360 beyond the encoder, and its parts.

The features of places are ready. Plain is kornia's XFeat (eager, as published), its mutual matches
and OpenCV's PnP-RANSAC, refined, on the same three places; ours looks at up to five more, where a
first pose expects them. Plain for reading a place is NumPy reading the same arrays, unchecked.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias
from unittest import mock

import cv2
import numpy as np
import torch
from kornia.feature.xfeat import XFeat
from safetensors.torch import load_file

from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import QUERY_FEATURES, FeatureExtractor
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.xfeat_weights import WEIGHTS
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import source_of_records
from progeo_core.records.records import read_records
from progeo_core.verification import metric_localizer
from progeo_core.verification.absolute_pose import FIRST_ERROR_PX, absolute_pose
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.metric_localizer import MetricLocalizer
from progeo_core.verification.nearby_matching import matches_nearby
from progeo_core.verification.place_feature_cache import PlaceFeatureCache
from progeo_core.verification.view_finder import DepthViewFinder
from test.benchmarks.row import Row, compare

OFFICE = Path(__file__).parent.parent / "data" / "office"
# Descriptors and landmarks of a place.
Place: TypeAlias = tuple[np.ndarray, np.ndarray]
QUERY, PLACES, MORE = 1, 3, 6
TIMED = 30


class Bench(NamedTuple):
    """Hold what is measured: a map, its features, a query and the places most similar to it."""

    place_map: PlaceMap
    extractor: FeatureExtractor
    cache: PlaceFeatureCache
    localizer: MetricLocalizer
    image: np.ndarray
    rows: np.ndarray

    def localize(self) -> metric_localizer.MetricPose | metric_localizer.NoPose:
        """Return the pose of the image, whose features are found again."""
        intrinsics = read_intrinsics()
        return self.localizer.localize(self.cache.query(self.image.copy(), intrinsics), self.rows)


class Plain:
    """Plain pipeline: features, matches and pose with what libraries give."""

    def __init__(self) -> None:
        self._xfeat = XFeat().eval()
        weights = load_file(WEIGHTS)
        self._xfeat.net.load_state_dict(weights, strict=False)
        self._matrix = read_intrinsics().matrix((540, 360))

    def find(self, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.from_numpy(image)[None].permute(0, 3, 1, 2).float() / 255.0
        (found,) = self._xfeat.detectAndCompute(pixels, QUERY_FEATURES)
        return found["keypoints"], found["descriptors"]

    def match(self, first: torch.Tensor, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._xfeat._match_mnn(first, torch.from_numpy(second))
        return found[0].numpy(), found[1].numpy()

    def pose(self, points: np.ndarray, landmarks: np.ndarray) -> object:
        _, turn, offset, inliers = cv2.solvePnPRansac(
            landmarks, points, self._matrix, None, None, None, False, 1000, 6.0, 0.999
        )
        inside = inliers[:, 0]
        return cv2.solvePnPRefineLM(
            landmarks[inside], points[inside], self._matrix, None, turn, offset
        )

    def localize(self, image: np.ndarray, places: Sequence[Place]) -> object:
        points, descriptors = self.find(image)
        parts = []
        for theirs, landmarks in places:
            own, other = self.match(descriptors, theirs)
            parts.append((points[own].numpy(), landmarks[other]))
        return self.pose(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@functools.cache
def read_intrinsics():
    return read_calibration(OFFICE / "camera_info.yaml")


def rows(folder: Path) -> Iterator[Row]:
    """Yield the whole, then its parts."""
    bench, plain = open_bench(folder), Plain()
    known = bench.cache.of(bench.place_map.poses().ids[bench.rows[:PLACES]].tolist())
    places = [place.with_landmarks[:2] for place in known if place is not None]
    further = further_place_ms(bench)
    yield measured(
        f"camera pose, {PLACES} places",
        bench.localize,
        lambda: plain.localize(bench.image, places),
        **{"further place processor ms": further},
    )
    yield measured(
        f"{QUERY_FEATURES} features",
        lambda: bench.extractor.find([bench.image.copy()]),
        lambda: plain.find(bench.image),
    )
    yield from part_rows(bench, plain, places)
    yield reading_row(bench, folder / "place.npz")


def measured(
    case: str, ours: Callable[[], object], plain: Callable[[], object], **also: float
) -> Row:
    """Return the durations of two functions, and the processor time, which load changes little."""
    times = {"processor ms": processor_ms(ours), "plain processor ms": processor_ms(plain)}
    return compare(case, ours, plain, repeats=TIMED, also=times | also)


def processor_ms(function: Callable[[], object]) -> float:
    """Return the least processor time of a function, of all threads together."""
    durations = []
    for _ in range(TIMED):
        started = time.process_time()
        function()
        durations.append((time.process_time() - started) * 1e3)
    return min(durations)


def open_bench(folder: Path) -> Bench:
    """Build the map and choose a query."""
    extractor = FeatureExtractor("cpu")
    path = folder / "office.progeo"
    source = source_of_records(OFFICE / "map.csv", read_intrinsics())
    encoder = load_encoder(device="cpu")
    build_map(path, source, encoder, structure=DepthViewFinder(extractor))
    place_map = PlaceMap.open(path)
    poses, cache = place_map.poses(), PlaceFeatureCache(place_map, extractor)
    image = read_image(read_records(OFFICE / "query.csv").images[QUERY])
    similarity = place_map.descriptors(poses.ids).astype(np.float32) @ encoder.encode([image])[0]
    localizer = MetricLocalizer(poses, cache)
    return Bench(place_map, extractor, cache, localizer, image, np.argsort(-similarity))


def further_place_ms(bench: Bench) -> float:
    """Return the processor time of each place more that is compared with the whole query."""

    def with_more() -> None:
        with mock.patch.object(metric_localizer, "_FIRST", MORE):
            bench.localize()

    return (processor_ms(with_more) - processor_ms(bench.localize)) / (MORE - PLACES)


def part_rows(bench: Bench, plain: Plain, places: Sequence[Place]) -> Iterator[Row]:
    """Yield a row each for the matches with one place and for the pose of the pairs of all."""
    query, pose = bench.cache.query(bench.image, read_intrinsics()), bench.localize().pose
    rays = query.rays
    assert rays is not None
    descriptors, (theirs, landmarks) = query.features.descriptors, places[0]
    count, as_tensor = f"{len(descriptors)} x {len(theirs)}", torch.from_numpy(descriptors)
    yield measured(
        f"matches, {count}",
        lambda: mutual_matches(descriptors, theirs),
        lambda: plain.match(as_tensor, theirs),
    )
    expected = rays, metric_localizer._expected_rays(landmarks, pose)
    yield measured(
        f"matches where a pose expects them, {count}",
        lambda: matches_nearby(descriptors, theirs, expected, metric_localizer._NEAR_RAD),
        lambda: plain.match(as_tensor, theirs),
    )
    found = [mutual_matches(descriptors, own) for own, _ in places]
    own = np.concatenate([match.first for match in found])
    pairs = zip(places, found, strict=True)
    other = np.concatenate([seen[match.second] for (_, seen), match in pairs])
    yield measured(
        f"pose of {len(own)} pairs",
        lambda: absolute_pose(rays[own], other, FIRST_ERROR_PX),
        lambda: plain.pose(query.features.points[own], other),
    )


def reading_row(bench: Bench, path: Path) -> Row:
    """Return what reading one place's features takes, each time of another place."""
    ids = bench.place_map.poses().ids
    features = bench.place_map.views(ids[:1])[0].features
    assert features is not None
    np.savez(path, *features[:4])
    turns = itertools.cycle(ids.tolist())

    def plain() -> list[np.ndarray]:
        with np.load(path) as file:
            return [file[name] for name in file.files]

    return measured(
        f"reading a place of {len(features.points)} features",
        lambda: bench.place_map.views([next(turns)]),
        plain,
    )
