"""The demo on shipped images: maps, bags, a live replay, reports."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from progeo_core.bags.writer import (
    CAMERA_POSE_TOPIC,
    FIX_TOPIC,
    IMAGE_TOPIC,
    POSE_TOPIC,
    write_bag,
)
from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import DataError
from progeo_core.evaluation.live_answers import replay_live
from progeo_core.evaluation.metric_poses import PoseComparison
from progeo_core.evaluation.metrics import Evaluation
from progeo_core.evaluation.queries import evaluate_records
from progeo_core.evaluation.replay import Replay, read_input, replay_offline
from progeo_core.evaluation.replay_folder import ReplayFolder, write_replay
from progeo_core.geo import Datum, Frame
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.consensus import usual_radius_of
from progeo_core.map.build import build_map
from progeo_core.map.place_features import ViewFinder
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records, read_records

# The campus images come with local metres only, so any point on earth will do to show fixes.
CAMPUS_DATUM = Datum(35.6130, 139.5494, 50.0)

# Shows the progress of a named stage with a number of steps while it runs.
ShowStage: TypeAlias = Callable[[str, int], AbstractContextManager[Advance]]


class Site(NamedTuple):
    """Site of the demo: the images that map it, and the queries.

    calibration: of the camera; with it, answers are full poses by landmarks.
    """

    name: str
    reference: Records
    queries: Records
    datum: Datum | None
    calibration: Intrinsics | None = None


class SiteResult(NamedTuple):
    """Results of one site, and the paths of its files.

    poses: errors of the full poses, None without a calibration.
    """

    site: Site
    map_path: Path
    bag_path: Path
    evaluation: Evaluation
    poses: PoseComparison | None
    replay: Replay
    files: ReplayFolder


def corridor() -> Site:
    """Return two passes of a corridor; positions are nominal, one frame is one metre."""
    folder = _data_folder("corridor")
    reference, queries = read_records(folder / "ref.csv"), read_records(folder / "query.csv")
    return Site("corridor", reference, queries, datum=None)


def campus_loop() -> Site:
    """Return a loop around a building with measured poses; even images map it, odd query it."""
    records = read_records(_data_folder("campus_loop") / "records.csv")
    even, odd = np.arange(0, len(records), 2), np.arange(1, len(records), 2)
    return Site("campus", records.select(even), records.select(odd), datum=CAMPUS_DATUM)


def office() -> Site:
    """Return parts of a walk through an office with depth and metric poses; later visits query."""
    folder = _data_folder("office")
    reference, queries = read_records(folder / "map.csv"), read_records(folder / "query.csv")
    calibration = read_calibration(folder / "camera_info.yaml")
    return Site("office", reference, queries, None, calibration)


def run_site(
    site: Site, folder: Path, encoder: Encoder, model: str, *, live: bool, show: ShowStage
) -> SiteResult:
    """Map a site, evaluate its queries offline, record them, replay the recording, report.

    model: the encoder's name, for the node's own process. live: through the node over DDS, which
    needs rclpy. Files of an earlier run in `folder` are replaced.
    """
    map_path, bag_path = folder / f"{site.name}.progeo", folder / f"{site.name}_bag"
    _make_room(map_path, bag_path)
    with show(f"{site.name}: building the map", len(site.reference)) as advance:
        build_map(
            map_path,
            FileSource(site.reference, calibration=site.calibration),
            encoder,
            datum=site.datum,
            structure=_local_features(),
            advance=advance,
        )
    with (
        PlaceMap.open(map_path) as place_map,
        show(f"{site.name}: evaluating offline", len(site.queries)) as advance,
    ):
        evaluation, _, poses = evaluate_records(
            place_map,
            site.queries,
            encoder,
            usual_radius_of(place_map.poses().position),
            sequence=True,
            intrinsics=site.calibration,
            advance=advance,
        )
    with show(f"{site.name}: writing the bag", len(site.queries)) as advance:
        write_bag(bag_path, site.queries, calibration=site.calibration, advance=advance)
    replay = _replay(site, bag_path, map_path, encoder, model, live=live, show=show)
    files = write_replay(replay, folder / f"{site.name}_report")
    return SiteResult(site, map_path, bag_path, evaluation, poses, replay, files)


def _local_features() -> ViewFinder:
    """Return what finds local features, and landmarks where the camera is calibrated."""
    from progeo_core.inference.feature_extractor import shared_extractor
    from progeo_core.verification.view_finder import DepthViewFinder

    return DepthViewFinder(shared_extractor())


def _replay(
    site: Site,
    bag_path: Path,
    map_path: Path,
    encoder: Encoder,
    model: str,
    *,
    live: bool,
    show: ShowStage,
) -> Replay:
    truth_topic = POSE_TOPIC if site.queries.frame is Frame.LOCAL else FIX_TOPIC
    if calibrated := site.calibration is not None:
        truth_topic = CAMERA_POSE_TOPIC
    source = read_input(bag_path, map_path, IMAGE_TOPIC, truth_topic, camera_poses=calibrated)
    if live:
        return replay_live(source, model)
    with show(f"{site.name}: replaying offline", source.images) as advance:
        return replay_offline(source, encoder, advance=advance)


def _data_folder(name: str) -> Path:
    return Path(str(resources.files("progeo_core"))) / "demo_data" / name


def _make_room(map_path: Path, bag_path: Path) -> None:
    """Remove the map and the bag of an earlier run, and nothing else."""
    try:
        map_path.parent.mkdir(parents=True, exist_ok=True)
        for path in (map_path, map_path.with_suffix(".faiss")):
            path.unlink(missing_ok=True)
        if bag_path.exists():
            shutil.rmtree(bag_path)
    except OSError as error:
        raise DataError(
            f"{map_path.parent}: the demo cannot write here ({error.strerror}); give another --out"
        ) from error
