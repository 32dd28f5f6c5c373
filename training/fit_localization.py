"""Fit the constants of the localizer to drives, and say what a drive loses that was left out.

A scene is a map and the images of another pass of it. Every scene's images are also asked of all
other maps, as images off the map. What is minimised is the log loss of the stated confidences: the
mean of -log(probability given to what turned out true), over all scenes alike. The constants are
those of `progeo_core/localization/fitted_constants.py`, which --write replaces by the fitted ones.
Scenes in poor light are tables that `test.poor_light` writes.

    python training/fit_localization.py --cache /tmp/fit
    python training/fit_localization.py --scene yard monday.csv tuesday.csv 2.5 --rounds 3
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Described, Encoder, describe
from progeo_core.evaluation.metrics import reliability
from progeo_core.geo import FloatArray
from progeo_core.images.codec import load_images, read_image
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.inference.loading import load_encoder
from progeo_core.localization import fitted_constants
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.fitted_constants import (
    SequenceConstants,
    SingleImageConstants,
    VerificationConstants,
)
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilter
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query
from progeo_core.localization.sequence_ranker import SequenceRanker
from progeo_core.localization.single_image_ranker import SingleImageRanker
from progeo_core.map.build import build_map
from progeo_core.map.place_features import ViewFinder
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records, read_records
from progeo_core.verification.view_finder import DepthViewFinder

Constants = TypeVar("Constants", SingleImageConstants, SequenceConstants, VerificationConstants)

_FITTED = Path(fitted_constants.__file__)
_DEMO = Path(__file__).resolve().parent.parent / "progeo_core" / "demo_data"
# Each constant is tried smaller and larger by these factors, round by round.
_FACTORS = (1.5, 1.2, 1.1, 1.05)
_SETTINGS = LocalizerSettings(verification_ms=0)
# Verification is fitted as if there were time to compare all places.
_AT_LEISURE = LocalizerSettings(verification_ms=10_000)


class Drive(NamedTuple):
    """Images of one pass [n]: descriptors [n, D], positions [n, 3] (m), stamps (ns), and files."""

    descriptors: NDArray[np.float32]
    position: FloatArray
    stamp_ns: NDArray[np.int64]
    images: tuple[Path, ...]


class Scene(NamedTuple):
    """A map, a pass of the same site, and passes of other sites; radius_m: what counts as right.

    inliers: that files of images share with places, by file and row, as far as they were compared.
    kept: file that they are kept in between runs, None for nowhere.
    """

    name: str
    prepared: PreparedMap
    inliers: dict[str, float]
    drive: Drive
    elsewhere: tuple[Drive, ...]
    radius_m: float
    kept: Path | None = None

    def keep_inliers(self) -> None:
        """Keep the inliers for the next run, if there is a folder for them."""
        if self.kept is not None:
            self.kept.write_text(json.dumps(self.inliers), encoding="utf-8")


class Outcome(NamedTuple):
    """Stated confidences [n] of a scene, whether they were right, and whether the map has them."""

    confidence: FloatArray
    right: NDArray[np.bool_]
    on_map: NDArray[np.bool_] = np.zeros(0, np.bool_)

    @property
    def loss(self) -> float:
        """Return the log loss: 0 for certain and right, 0.69 for knowing nothing."""
        stated = np.clip(self.confidence, 1e-4, 1.0 - 1e-4)
        return float(-np.mean(np.log(np.where(self.right, stated, 1.0 - stated))))


class RememberingVerifier(PlaceVerifier):
    """Verification of a scene's images that compares no pair of images twice."""

    def __init__(self, scene: Scene, constants: VerificationConstants) -> None:
        """Verify the places of a scene."""
        super().__init__(scene.prepared, scene.radius_m, constants)
        self._known = scene.inliers
        self.file = Path()

    def inliers(self, query: Query, row: int) -> float:
        """Return the inliers of an image, which is that of `file`, and a place."""
        pair = f"{self.file}\t{row}"
        if pair not in self._known:
            image = read_image(self.file)
            self._known[pair] = super().inliers(query._replace(image=image), row)
        return self._known[pair]


def answer_singly(scene: Scene, constants: SingleImageConstants) -> Outcome:
    """Answer every image of a scene by itself, without verification."""
    return _by_itself(scene, constants, VerificationConstants(), _SETTINGS)


def answer_verified(scene: Scene, constants: VerificationConstants) -> Outcome:
    """Answer every image of a scene with verification, by itself and as part of its pass."""
    alone = _by_itself(scene, SingleImageConstants(), constants, _AT_LEISURE)
    return _joined([alone, _in_order(scene, SequenceConstants(), constants, _AT_LEISURE)])


def answer_sequences(scene: Scene, constants: SequenceConstants) -> Outcome:
    """Answer every pass of a scene as a sequence of its own, without verification."""
    return _in_order(scene, constants, VerificationConstants(), _SETTINGS)


def _by_itself(
    scene: Scene,
    constants: SingleImageConstants,
    verification: VerificationConstants,
    settings: LocalizerSettings,
) -> Outcome:
    consensus = ConsensusSettings().widened(scene.prepared.spacing.spacing_m)
    verifier = RememberingVerifier(scene, verification)
    ranker = SingleImageRanker(scene.prepared, consensus, verifier, constants)
    drives = (scene.drive, *scene.elsewhere)
    return _joined([_outcome(scene, drive, ranker, verifier, settings) for drive in drives])


def _in_order(
    scene: Scene,
    constants: SequenceConstants,
    verification: VerificationConstants,
    settings: LocalizerSettings,
) -> Outcome:
    spacing_m = scene.prepared.spacing.spacing_m
    outcomes = []
    for drive in (scene.drive, *scene.elsewhere):
        place_filter = PlaceFilter(scene.prepared.places.position, spacing_m, constants=constants)
        verifier = RememberingVerifier(scene, verification)
        ranker = SequenceRanker(
            scene.prepared,
            ConsensusSettings().widened(spacing_m),
            verifier,
            place_filter,
            PoseBuffer(),
        )
        outcomes.append(_outcome(scene, drive, ranker, verifier, settings))
    return _joined(outcomes)


def fit(start: Constants, losses: Callable[[Constants], Sequence[float]], rounds: int) -> Constants:
    """Return constants whose mean loss no single change of one of them lowers, after `rounds`."""
    best, lowest = start, float(np.mean(losses(start)))
    for factor in _FACTORS[:rounds]:
        for name in start._fields:
            for changed in (factor, 1.0 / factor):
                tried = best._replace(**{name: getattr(best, name) * changed})
                loss = float(np.mean(losses(tried)))
                if loss < lowest:
                    best, lowest = tried, loss
    return best


def report(
    title: str,
    scenes: Sequence[Scene],
    start: Constants,
    answer: Callable[[Scene, Constants], Outcome],
    rounds: int,
) -> Constants:
    """Print the losses of today's constants, of fitted ones, and of each scene left out.

    Returns the constants that were fitted to all scenes.
    """

    def losses(chosen: Sequence[Scene], constants: Constants) -> list[float]:
        return [answer(scene, constants).loss for scene in chosen]

    together = fit(start, functools.partial(losses, scenes), rounds)
    print(f"\n{title}")
    print(f"{'log loss':22}{'today':>8}{'fitted':>8}{'left out':>10}{'ECE today':>11}")
    for scene in scenes:
        others = [other for other in scenes if other.name != scene.name] or scenes
        apart = fit(start, functools.partial(losses, others), rounds)
        today = answer(scene, start)
        error = reliability(today.confidence, today.right).expected_error
        print(
            f"{scene.name:22}{today.loss:8.3f}{answer(scene, together).loss:8.3f}"
            f"{answer(scene, apart).loss:10.3f}{error:11.3f}"
        )
    for name, value in together._asdict().items():
        print(f"  {name}: {getattr(start, name):g} today, {value:.4g} fitted to all scenes")
    return together


def print_answers(scenes: Sequence[Scene]) -> None:
    """Print what today's constants answer, with verification: what is accepted, right and not."""
    print(f"\n{'today':22}{'':10}{'accepted right':>16}{'wrong':>7}{'off the map':>13}")
    for scene in scenes:
        sequence = _in_order(scene, SequenceConstants(), VerificationConstants(), _AT_LEISURE)
        single = _by_itself(scene, SingleImageConstants(), VerificationConstants(), _AT_LEISURE)
        for name, outcome in (("single", single), ("sequence", sequence)):
            accepted = outcome.confidence >= _SETTINGS.min_confidence
            right, home = accepted & outcome.right, outcome.on_map
            print(
                f"{scene.name:22}{name:10}{right.sum():8}/{home.sum():<7}"
                f"{(accepted & home & ~right).sum():7}"
                f"{(accepted & ~home).sum():7}/{(~home).sum()}"
            )


def written(source: str, fitted: Sequence[NamedTuple]) -> str:
    """Return the source of the constants with other values, to four digits."""
    for constants in fitted:
        for name, value in constants._asdict().items():
            line = rf"(?m)^(    {name}: float = ).*$"
            source = re.sub(line, rf"\g<1>{float(f'{value:.4g}')}", source)
    return source


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = _parser().parse_args(argv)
    given = options.scene or [
        ["corridor", _DEMO / "corridor/ref.csv", _DEMO / "corridor/query.csv", 2.5],
        ["corridor swapped", _DEMO / "corridor/query.csv", _DEMO / "corridor/ref.csv", 2.5],
        ["campus", _DEMO / "campus_loop/records.csv", _DEMO / "campus_loop/records.csv", 9.0],
    ]
    encoder = load_encoder(options.model)
    with tempfile.TemporaryDirectory() as folder:
        scenes = make_scenes(given, encoder, Path(folder), options.cache)
        print(f"{len(scenes)} scenes, model {encoder.fingerprint}")
        rounds = options.rounds
        fitted = (
            report("single images", scenes, SingleImageConstants(), answer_singly, rounds),
            report("sequences", scenes, SequenceConstants(), answer_sequences, rounds),
            report("verification", scenes, VerificationConstants(), answer_verified, rounds),
        )
        print_answers(scenes)
        for scene in scenes:
            scene.keep_inliers()
    if options.write:
        _FITTED.write_text(written(_FITTED.read_text(encoding="utf-8"), fitted), encoding="utf-8")
        print(f"written: {_FITTED}")


def make_scenes(
    given: Sequence[Sequence[str | Path | float]],
    encoder: Encoder,
    folder: Path,
    cache: Path | None = None,
) -> list[Scene]:
    """Make a map of every scene; a table that is map and pass at once is shared out by turns.

    cache: folder that descriptors and inliers are kept in, None for nowhere.
    """
    finder = DepthViewFinder(FeatureExtractor())
    prepared, drives = [], []
    for number, (_, database, queries, _) in enumerate(given):
        rows, asked = read_records(Path(str(database))), read_records(Path(str(queries)))
        if database == queries:
            rows, asked = rows.select(slice(0, None, 2)), asked.select(slice(1, None, 2))
        prepared.append(_map(folder / f"{number}.progeo", rows, encoder, finder))
        drives.append(_drive(asked, encoder, cache))
    # Passes whose map is of the same images are of the same site.
    sites = [{str(database), str(queries)} for _, database, queries, _ in given]
    scenes = []
    for number, (name, database, queries, radius_m) in enumerate(given):
        kept = None if cache is None else _kept(cache, "inliers", [database, queries], encoder)
        inliers = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
        others = (drive for other, drive in enumerate(drives) if not sites[other] & sites[number])
        radius = float(str(radius_m))
        scenes.append(
            Scene(str(name), prepared[number], inliers, drives[number], tuple(others), radius, kept)
        )
    return scenes


def _kept(cache: Path, kind: str, names: Sequence[object], encoder: Encoder) -> Path:
    """Return the file of a cache for what was made of some files by a model."""
    cache.mkdir(parents=True, exist_ok=True)
    source = json.dumps([str(encoder.fingerprint), *map(str, names)])
    return cache / f"{kind}_{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _outcome(
    scene: Scene,
    drive: Drive,
    ranker: SingleImageRanker | SequenceRanker,
    verifier: RememberingVerifier,
    settings: LocalizerSettings,
) -> Outcome:
    """Ask for the images of a drive in their order."""
    at_home = drive is scene.drive
    confidence, right, on_map = [], [], []
    places = scene.prepared.places.position
    nothing = np.zeros((1, 1, 3), np.uint8) if settings.verification_ms else None
    for descriptor, position, stamp_ns, verifier.file in zip(*drive, strict=True):
        standardized = scene.prepared.standardization.apply(descriptor[None])[0]
        candidates = scene.prepared.search(descriptor, settings.candidates)
        query = Query(int(stamp_ns), "", descriptor, standardized, candidates, nothing)
        estimate = ranker.rank(query, settings).estimate
        error_m = np.linalg.norm((estimate.position - position)[:2])
        confidence.append(estimate.confidence)
        right.append(at_home and error_m <= scene.radius_m)
        nearest_m = np.linalg.norm((places - position)[:, :2], axis=1).min()
        on_map.append(at_home and nearest_m <= scene.radius_m)
    return Outcome(np.array(confidence), np.array(right), np.array(on_map))


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(*(np.concatenate(columns) for columns in zip(*outcomes, strict=True)))


def _drive(records: Records, encoder: Encoder, cache: Path | None) -> Drive:
    path = None if cache is None else _kept(cache, "drive", list(records.images), encoder)
    if path is not None and path.exists():
        with np.load(path) as kept:
            rows, descriptors = kept["rows"].tolist(), kept["descriptors"]
    else:
        described = describe(encoder, load_images(records.images))
        usable = [one for one in described if isinstance(one, Described)]
        rows = [one.index for one in usable]
        descriptors = np.stack([one.descriptor for one in usable])
        if path is not None:
            with path.open("wb") as file:
                np.savez(file, rows=rows, descriptors=descriptors)
    local = records.to_local(records.default_datum())
    return Drive(
        descriptors,
        local.position[rows],
        local.stamp_ns[rows],
        tuple(records.images[row] for row in rows),
    )


def _map(path: Path, records: Records, encoder: Encoder, finder: ViewFinder) -> PreparedMap:
    build_map(path, FileSource(records), encoder, structure=finder)
    place_map = PlaceMap.open(path)
    return PreparedMap(place_map, PlaceIndex.open(place_map))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scene",
        nargs=4,
        action="append",
        metavar=("NAME", "MAP_CSV", "QUERIES_CSV", "RADIUS_M"),
        help="records of the map and of another pass, and within how many metres an answer is"
        " right; may be given several times (default: the shipped corridor, both ways, and campus)",
    )
    parser.add_argument(
        "--cache", type=Path, help="folder to keep descriptors and inliers in between runs"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the fitted constants into progeo_core"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as for progeo (%(default)s)")
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(len(_FACTORS) + 1),
        default=2,
        help="rounds of the search, each with smaller steps; 0 only measures (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    main()
