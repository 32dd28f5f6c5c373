"""Recall@1 of a sequence on the shipped images with the place filter, against plain top-1.

Beside them stands a SeqSLAM-style match. All methods see the same descriptors of the shipped model.
R@P99 is recall at 99 % precision. Kidnapped: share of jumps to a random place after which a right
answer is accepted within five images; plain accepts top-1 above the cosine of its own R@P99.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ImageError
from progeo_core.evaluation.metrics import Evaluation, evaluate, precision_recall
from progeo_core.images.codec import Image, load_images, make_thumbnail, read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.localization.answer import Localization, Match
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.records.records import read_records
from test.benchmarks.row import Row

ROOT = Path(__file__).resolve().parent.parent.parent

CORRIDOR = ROOT / "progeo_core" / "demo_data" / "corridor"
CAMPUS = ROOT / "progeo_core" / "demo_data" / "campus_loop"
LOOP = ROOT / "test" / "data" / "rtabmap_corridor_loop"
# Frames of the loop after which it repeats, read off its loop matrix.
LOOP_FRAMES = 40
# Images in a SeqSLAM-style match and the speeds it tries, in places per image (Milford 2012).
WINDOW, SPEEDS = 10, np.linspace(0.8, 1.2, 5)
KIDNAPPINGS, WARM_UP, AFTER = 100, 20, 12
# Time for verification where that is on (ms).
BUDGET_MS = 1000
COMPARED = ("place filter", "top-1", "SeqSLAM-style", "with geometry")
KIDNAPPED_IN = ("corridor", "corridor swapped", "loop", "loop swapped", "campus")
FAR_M = 1e6

Vectors = NDArray[np.float32]


class Pass(NamedTuple):
    """Hold one drive: descriptors [n, D], positions [n, 3] (m), stamps (ns), n image files."""

    descriptors: Vectors
    position: NDArray[np.float64]
    stamp_ns: NDArray[np.int64]
    files: NDArray[np.object_]

    def take(self, rows: slice | NDArray[np.int64]) -> Pass:
        """Return some of the images; the stamps stay evenly spaced in the order of the rows."""
        count = len(self.position[rows])
        return Pass(
            self.descriptors[rows], self.position[rows], self.stamp_ns[:count], self.files[rows]
        )

    def elsewhere(self) -> Pass:
        """Return the same images as if taken far from any map."""
        return self._replace(position=self.position + FAR_M)


class Scene(NamedTuple):
    """Hold a map, the queries in order, and the radius (m) within which an answer is right."""

    name: str
    database: Pass
    queries: Pass
    radius_m: float


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per scene and per kidnapping; print one line per scene and method."""
    encoder = load_encoder()
    print(f"model {encoder.fingerprint}")

    def describe(paths: list[Path]) -> Vectors:
        images = [image for image in load_images(paths) if not isinstance(image, ImageError)]
        return np.concatenate([encoder.encode(images[i : i + 8]) for i in range(0, len(images), 8)])

    scenes = make_scenes(describe)
    print(
        f"{'scene':22}{'method':16}{'R@1':>6}{'R@5':>6}{'R@P100':>8}{'R@P99':>7}{'AUC':>6}", end=""
    )
    print(f"{'ECE':>7}{'accepted':>10}{'false':>7}{'off-map':>9}{'in 90%':>8}")
    localizers = {}
    for scene in scenes:
        localizer = make_localizer(folder / f"{scene.name}.progeo", scene, encoder)
        localizers[scene.name] = localizer
        found = {}
        for method, answers in run_methods(localizer, scene).items():
            found[method] = report(scene, method, answers)
        yield recall_row(scene, found)
    for scene in scenes:
        if scene.name in KIDNAPPED_IN:
            yield kidnap_row(localizers[scene.name], scene)


def recall_row(scene: Scene, found: dict[str, Evaluation]) -> Row:
    """Return Recall@1 of the filter and of plain top-1 on one scene, and what else is asked."""
    ours, plain = found["place filter"], found["top-1"]
    also = {
        "SeqSLAM-style": found["SeqSLAM-style"].recall_at[1],
        **{f"{name} R@P99": found[name].precision_recall.recall_at(0.99) for name in COMPARED},
        "R@P100": ours.precision_recall.recall_at(1.0),
        "ECE": ours.reliability.expected_error,
        "in 90 %": ours.consistency.coverage[1],
        "in map": float(ours.localizable.sum()),
        "accepted in map": float(ours.accepted.sum() - ours.off_map_accepts),
        "wrong accepted": float(ours.false_accepts),
        "off map": float(ours.queries - ours.localizable.sum()),
        "accepted off map": float(ours.off_map_accepts),
    }
    known = {name: value for name, value in also.items() if not math.isnan(value)}
    recall = ours.recall_at[1], plain.recall_at[1]
    return Row(scene.name, "", *recall, more_is_better=True, also=known)


def make_scenes(describe: Callable[[list[Path]], Vectors]) -> list[Scene]:
    """Describe all shipped images and arrange them as maps and queries."""
    reference, query = (line_pass(CORRIDOR / f"{name}.csv", describe) for name in ("ref", "query"))
    with (LOOP / "records.csv").open() as file:
        paths = [LOOP / row["image"] for row in csv.DictReader(file)]
    frames = np.arange(len(paths)) % LOOP_FRAMES
    angle = 2.0 * math.pi * frames / LOOP_FRAMES
    # On a circle whose circumference is a metre per frame, so that its end is near its start.
    circle = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1)
    circle *= LOOP_FRAMES / (2.0 * math.pi)
    loop = Pass(describe(paths), circle, np.zeros(len(paths), np.int64), np.array(paths))
    lap1, lap2 = loop.take(slice(0, 40)), loop.take(slice(40, 84))
    campus = line_pass(CAMPUS / "records.csv", describe)
    even, odd = campus.take(slice(0, None, 2)), campus.take(slice(1, None, 2))
    return [
        Scene("corridor", reference, query, 2.5),
        Scene("corridor backward", reference, query.take(slice(None, None, -1)), 2.5),
        Scene("corridor swapped", query, reference, 2.5),
        Scene("corridor half map", reference.take(slice(0, 56)), query, 2.5),
        Scene("loop", lap1, lap2, 2.5),
        Scene("loop swapped", lap2, lap1, 2.5),
        # One and a half times the 6 m between the places of the map.
        Scene("campus", even, odd, 9.0),
        Scene("campus on corridor", reference, campus.elsewhere(), 2.5),
        Scene("loop on corridor", reference, loop.elsewhere(), 2.5),
        Scene("corridor on campus", even, query.elsewhere(), 9.0),
    ]


def line_pass(records_csv: Path, describe: Callable[[list[Path]], Vectors]) -> Pass:
    """Describe the images of a records file."""
    records = read_records(records_csv)
    return Pass(
        describe(list(records.images)), records.position, records.stamp_ns, np.array(records.images)
    )


def make_localizer(path: Path, scene: Scene, encoder: Encoder) -> Localizer:
    """Make the scene's map and open it; sequences are switched on and off by its settings."""
    count = len(scene.database.position)
    names = [""] * count
    with PlaceMap.create(path, encoder.fingerprint) as place_map:
        columns = Places(
            scene.database.position,
            np.full(count, math.nan),
            np.zeros(count, np.int64),
            names,
            names,
            names,
            [make_thumbnail(picture(file)) for file in scene.database.files],
        )
        place_map.append(columns, scene.database.descriptors)
    return Localizer.open(path, encoder)


@functools.cache
def picture(file: Path) -> Image:
    """Read an image once for all methods and trials."""
    return read_image(file)


def run_methods(localizer: Localizer, scene: Scene) -> dict[str, list[Localization]]:
    """Return the answers of every method to the scene's queries."""
    cosine = scene.queries.descriptors @ scene.database.descriptors.T
    return {
        "top-1": rank(scene, cosine, cosine.max(axis=1)),
        "SeqSLAM-style": rank(scene, *match_sequences(cosine)),
        "single image": localize(localizer, scene.queries, sequence=False),
        "single, geometry": localize(localizer, scene.queries, sequence=False, budget_ms=BUDGET_MS),
        "place filter": localize(localizer, scene.queries, sequence=True),
        "with geometry": localize(localizer, scene.queries, sequence=True, budget_ms=BUDGET_MS),
    }


def localize(
    localizer: Localizer, queries: Pass, sequence: bool, budget_ms: int = 0
) -> list[Localization]:
    """Return the localizer's answers to queries in order."""
    localizer.settings = LocalizerSettings(sequence=sequence, verification_ms=budget_ms)
    localizer.reset()
    return [
        localizer.localize_descriptor(descriptor, int(stamp), image=picture(file))
        for descriptor, stamp, file in zip(
            queries.descriptors, queries.stamp_ns, queries.files, strict=True
        )
    ]


def match_sequences(
    cosine: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scores [q, n] of straight lines through the cosines, and how unique the best is.

    After SeqSLAM (Milford and Wyeth 2012): contrast-enhanced rows, lines of several speeds either
    way along the map, score of the best line over the best one elsewhere.
    """
    enhanced = (cosine - cosine.mean(axis=1, keepdims=True)) / cosine.std(axis=1, keepdims=True)
    queries, places = enhanced.shape
    columns = np.arange(places)
    scores = np.full_like(enhanced, -np.inf)
    for query in range(queries):
        back = np.arange(min(WINDOW, query + 1))
        for speed in (*SPEEDS, *-SPEEDS):
            line = columns[None] - np.rint(speed * back).astype(int)[:, None]
            inside = (line >= 0) & (line < places)
            values = enhanced[query - back[:, None], np.clip(line, 0, places - 1)]
            # Images of the window that the line leaves off the map count as mean ones.
            scores[query] = np.maximum(scores[query], np.where(inside, values, 0.0).mean(axis=0))
    best = scores.argmax(axis=1)
    elsewhere = np.where(np.abs(columns - best[:, None]) <= 5, -np.inf, scores).max(axis=1)
    return scores, scores.max(axis=1) - elsewhere


def rank(
    scene: Scene, scores: NDArray[np.float32], confidence: NDArray[np.float32]
) -> list[Localization]:
    """Return answers at the place of the best score, with nothing accepted."""
    unknown = np.diag(np.full(6, 1e6))
    # Any increasing function keeps the precision-recall curve; this one is between 0 and 1.
    stated = (np.argsort(np.argsort(confidence)) + 0.5) / len(confidence)
    answers = []
    for row, order in enumerate(np.argsort(-scores, axis=1)[:, :20]):
        matches = tuple(
            Match(int(i), float(scores[row, i]), scene.database.position[i], math.nan, "")
            for i in order
        )
        estimate = PoseEstimate(matches[0].position, math.nan, unknown, float(stated[row]))
        nothing = np.empty(0, np.float32)
        answers.append(Localization(0, "", estimate, None, False, "", "", matches, nothing))
    return answers


def report(scene: Scene, method: str, answers: list[Localization]) -> Evaluation:
    """Print the figures of one method on one scene, and return them."""
    found: Evaluation = evaluate(
        answers, scene.queries.position, scene.database.position, scene.radius_m
    )
    curve, possible = found.precision_recall, int(found.localizable.sum())
    judged = method not in ("top-1", "SeqSLAM-style")
    print(
        f"{scene.name:22}{method:16}{found.recall_at[1]:6.2f}{found.recall_at[5]:6.2f}"
        f"{curve.recall_at(1.0):8.2f}{curve.recall_at(0.99):7.2f}{curve.area:6.2f}",
        end="",
    )
    if judged:
        print(
            f"{found.reliability.expected_error:7.3f}{int(found.accepted.sum()):6}/{possible:<3}"
            f"{found.false_accepts:7}{found.off_map_accepts:5}/{found.queries - possible:<3}"
            f"{found.consistency.coverage[1]:8.2f}",
            end="",
        )
    print()
    return found


class Kidnapping(NamedTuple):
    """Hold the images before a jump and those after it, as rows of a pass."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]


class Found(NamedTuple):
    """Hold how soon jumps were noticed, and how often that went wrong.

    within_5, median: share found within five images, images until then. wrong, elsewhere: jumps
    with several accepted answers beyond the radius, beyond twice the radius.
    """

    within_5: float
    median: float
    wrong: int
    elsewhere: int


def kidnap_row(localizer: Localizer, scene: Scene) -> Row:
    """Jump to random images of the drive and return how often it is found again at once."""
    jumps = list(draw_jumps(len(scene.queries.position)))
    ours, checked = (
        measure_jumps([kidnap(localizer, scene, jump, budget_ms) for jump in jumps])
        for budget_ms in (0, BUDGET_MS)
    )
    plain = measure_jumps(plain_jumps(scene, jumps))
    also = {
        "median images": ours.median,
        "wrong more than once": float(ours.wrong),
        "elsewhere more than once": float(ours.elsewhere),
        "with geometry": checked.within_5,
        "with geometry wrong": float(checked.wrong),
        "with geometry elsewhere": float(checked.elsewhere),
        "plain wrong": float(plain.wrong),
        "jumps": float(len(jumps)),
    }
    case, shares = f"{scene.name}, kidnapped", (ours.within_5, plain.within_5)
    return Row(case, "", *shares, more_is_better=True, also=also)


def draw_jumps(count: int) -> Iterator[Kidnapping]:
    """Yield jumps between images of a pass that are farther apart than the images looked at."""
    rng = np.random.default_rng(0)
    for _ in range(KIDNAPPINGS):
        start, end = 0, 0
        while abs(start - end) <= AFTER:
            start, end = int(rng.integers(1, count)), int(rng.integers(0, count - AFTER))
        yield Kidnapping(np.arange(max(0, start - WARM_UP), start), np.arange(end, end + AFTER))


def kidnap(
    localizer: Localizer, scene: Scene, jump: Kidnapping, budget_ms: int
) -> NDArray[np.bool_]:
    """Return which answers [AFTER, 3] after a jump are accepted, right, and at least near."""
    drive = scene.queries.take(np.concatenate(jump))
    answers = localize(localizer, drive, sequence=True, budget_ms=budget_ms)[len(jump.before) :]
    truth = scene.queries.position[jump.after]
    error = np.linalg.norm([answer.estimate.position for answer in answers] - truth, axis=1)
    accepted = [answer.accepted for answer in answers]
    return np.stack([accepted, error <= scene.radius_m, error <= 2.0 * scene.radius_m], axis=-1)


def plain_jumps(scene: Scene, jumps: list[Kidnapping]) -> list[NDArray[np.bool_]]:
    """Return the same for top-1 above the lowest cosine that is 99 % right over the whole drive."""
    cosine = scene.queries.descriptors @ scene.database.descriptors.T
    offset = scene.database.position[cosine.argmax(axis=1)] - scene.queries.position
    error, surest = np.linalg.norm(offset, axis=1), cosine.max(axis=1)
    right = error <= scene.radius_m
    curve = precision_recall(surest, right, len(right))
    threshold = curve.confidence[curve.precision >= 0.99].min(initial=np.inf)
    judged = np.stack([surest >= threshold, right, error <= 2.0 * scene.radius_m], axis=-1)
    return [judged[jump.after] for jump in jumps]


def measure_jumps(trials: list[NDArray[np.bool_]]) -> Found:
    """Return the figures of trials, each [AFTER, 3]: accepted, right, near."""
    first = [int(np.argmax(np.append(trial[:, :2].all(axis=1), True))) + 1 for trial in trials]
    wrong, elsewhere = (
        sum(int(np.sum(trial[:, 0] & ~trial[:, column]) > 1) for trial in trials)
        for column in (1, 2)
    )
    soon = float(np.mean(np.array(first) <= 5))
    return Found(soon, float(np.median(first)), wrong, elsewhere)
