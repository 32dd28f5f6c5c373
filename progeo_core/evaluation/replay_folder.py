"""The folder of a replay: summary.json, trajectories, the report, pictures of matches."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.bags.answers_bag import StampedEstimate
from progeo_core.errors import DataError
from progeo_core.evaluation.answer_table import answer_rows, write_answers
from progeo_core.evaluation.replay import Replay
from progeo_core.evaluation.report import MatchView, write_report
from progeo_core.images.codec import Image, encode_jpeg
from progeo_core.localization.answer import Localization
from progeo_core.localization.match_picture import draw_match, draw_pair
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.transform import level_quaternion
from progeo_core.poses.tum_file import StampedPose, write_trajectory
from progeo_core.versions import versions

# Matches shown of each kind.
_SHOWN, _SHOWN_POSES = 6, 3


class ReplayFolder(NamedTuple):
    """Paths of the files of one replay."""

    summary: Path
    trajectory: Path
    ground_truth: Path
    report: Path
    matches: Path
    answers_csv: Path
    answers_jsonl: Path


def write_replay(replay: Replay, folder: Path) -> ReplayFolder:
    """Write everything about a replay into a folder, which is made if missing.

    Files of an earlier replay are replaced. Raises `DataError` where nothing can be written.
    """
    files = ReplayFolder(
        summary=folder / "summary.json",
        trajectory=folder / "trajectory.tum",
        ground_truth=folder / "ground_truth.tum",
        report=folder / "report.html",
        matches=folder / "matches",
        answers_csv=folder / "answers.csv",
        answers_jsonl=folder / "answers.jsonl",
    )
    try:
        _make_folder(files.matches)
        write_trajectory(files.trajectory, _estimates(replay))
        write_trajectory(files.ground_truth, _truths(replay))
        rows = answer_rows(replay)
        write_answers(rows, files.answers_csv, files.answers_jsonl)
        best, worst = best_answers(replay), worst_answers(replay)
        views = _write_pictures(replay, files.matches, best, worst)
        # An image that was read to be answered may be gone by now.
        best_views, worst_views = (
            [views[one] for one in of if one in views] for of in (best, worst)
        )
        write_report(files.report, replay, rows, best_views, worst_views)
        with replaced_file(files.summary) as unfinished:
            text = json.dumps(summarize(replay), indent=2, allow_nan=False)
            unfinished.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: the report cannot be written ({error})") from error
    return files


def summarize(replay: Replay) -> dict[str, Any]:
    """Return the documented keys of summary.json."""
    source = replay.source
    percentiles = np.percentile(replay.latency_ms, [50, 95, 99]).tolist()
    poses = {} if replay.poses is None else {"metric_pose": replay.poses.full.to_json()}
    return (replay.evaluation.to_json() | poses) | {
        "images": source.images,
        "answered": replay.answered,
        "dropped": replay.dropped,
        "dropped_by": dict(replay.dropped_by),
        "latency_ms": dict(zip(("p50", "p95", "p99"), percentiles, strict=True)),
        "mode": replay.mode,
        "published": "sequence" if replay.evaluation.published.follows else "single image",
        "bag": str(source.queries),
        "image_topic": source.image_topic,
        "ground_truth_topic": source.ground_truth_topic,
        "map": str(source.map_path),
        "model": dataclasses.asdict(source.model),
        "versions": versions(),
    }


def best_answers(replay: Replay) -> list[int]:
    """Return the most confident right answers (rows of the evaluated), spread over time.

    Full poses come first, those that most landmarks fit.
    """
    right = np.flatnonzero(replay.evaluation.published.right)
    answers = [replay.localizations[replay.evaluated[one]] for one in right.tolist()]
    confidence = [answer.estimate.confidence for answer in answers]
    landmarks = [0 if answer.metric is None else answer.metric.landmarks for answer in answers]
    order = np.lexsort((-np.array(confidence), -np.array(landmarks)))
    return _spread(right[order], replay.evaluation.queries, _SHOWN)


def worst_answers(replay: Replay) -> list[int]:
    """Return the answers farthest from the truth (rows of the evaluated), spread over time.

    Where there are full poses, those farthest off follow.
    """
    evaluation = replay.evaluation.published
    order = np.argsort(-evaluation.error_m, kind="stable")
    worst = _spread(order[evaluation.error_m[order] > 0.0], evaluation.queries, _SHOWN)
    if replay.poses is None:
        return worst
    full = replay.poses.full
    farthest = np.argsort(-full.position_m, kind="stable")
    poses = _spread(farthest[full.answered[farthest]], evaluation.queries, _SHOWN_POSES)
    return list(dict.fromkeys([*worst, *poses]))


def _spread(ranked: NDArray[np.int64], count: int, shown: int) -> list[int]:
    """Return the first few of a ranking, without neighbours in time of those chosen before."""
    apart = max(1, count // (2 * shown))
    taken: list[int] = []
    for one in ranked.tolist():
        if all(abs(one - other) >= apart for other in taken):
            taken.append(one)
        if len(taken) == shown:
            break
    return taken


def _estimates(replay: Replay) -> Iterator[StampedPose]:
    for answer in replay.localizations:
        if answer.accepted:
            estimate = answer.estimate
            yield StampedPose(answer.stamp_ns, estimate.position, estimate.yaw_rad)


def published_estimates(replay: Replay) -> Iterator[StampedEstimate]:
    """Yield the accepted answers, which the node would publish."""
    for answer in replay.localizations:
        if not answer.accepted:
            continue
        estimate = answer.estimate
        if answer.metric is not None:
            orientation = answer.metric.pose.orientation
        else:
            orientation = level_quaternion(estimate.yaw_rad)
        yield StampedEstimate(
            answer.stamp_ns, estimate.position, orientation, estimate.covariance, answer.geodetic
        )


def _truths(replay: Replay) -> Iterator[StampedPose]:
    truth, stamps = replay.source.truth, replay.source.stamp_ns
    for row in np.flatnonzero(np.isfinite(truth.position).all(axis=1)).tolist():
        yield StampedPose(int(stamps[row]), truth.position[row], float(truth.yaw_rad[row]))


def _make_folder(matches: Path) -> None:
    """Create the folder of pictures, and remove those of an earlier replay."""
    matches.mkdir(parents=True, exist_ok=True)
    for kind in ("best", "worst"):
        for picture in matches.glob(f"{kind}_[0-9]*.jpg"):
            picture.unlink()


def _write_pictures(
    replay: Replay, folder: Path, best: Sequence[int], worst: Sequence[int]
) -> dict[int, MatchView]:
    """Write a picture of every answer shown; return their views for the report."""
    names = {one: f"worst_{rank}.jpg" for rank, one in enumerate(worst, start=1)}
    names |= {one: f"best_{rank}.jpg" for rank, one in enumerate(best, start=1)}
    images = _query_images(replay, names)
    views: dict[int, MatchView] = {}
    with PlaceMap.open(replay.source.map_path) as place_map:
        for one, image in images:
            answer = replay.localizations[replay.evaluated[one]]
            place = answer.shown_place
            thumbnail = None if place is None else place_map.thumbnail(place)
            (folder / names[one]).write_bytes(encode_jpeg(draw_match(image, answer, thumbnail)))
            picture = encode_jpeg(draw_pair(image, answer, thumbnail))
            views[one] = _view(replay, one, picture, "" if thumbnail is None else f"place {place}")
    return views


def _query_images(replay: Replay, wanted: Collection[int]) -> Iterator[tuple[int, Image]]:
    """Yield the images of some evaluated answers, read again."""
    row_to_one = {int(replay.rows[replay.evaluated[one]]): one for one in wanted}
    for row, image in replay.source.read_images(set(row_to_one)):
        yield row_to_one[row], image


def _view(replay: Replay, one: int, picture: bytes, place: str) -> MatchView:
    evaluation, answer = replay.evaluation.published, replay.localizations[replay.evaluated[one]]
    stamp = int(replay.source.stamp_ns[replay.rows[replay.evaluated[one]]])
    when = f"at {(stamp - int(replay.source.stamp_ns.min())) * 1e-9:.1f} s"
    if not replay.source.is_timed:
        when = f"in image {replay.rows[replay.evaluated[one]] + 1}"
    right = bool(evaluation.right[one])
    decision = "accepted" if answer.accepted else "not accepted"
    title = f"{_error(replay, one)} off {when}, {decision}"
    return MatchView(picture, place, right, title, _scores(answer))


def _error(replay: Replay, one: int) -> str:
    """Return how far off an answer is, as text; a full pose in space and in degrees, if known."""
    if replay.poses is None or not replay.poses.full.answered[one]:
        return f"{replay.evaluation.published.error_m[one]:.2f} m"
    full = replay.poses.full
    turn = f", {full.rotation_deg[one]:.1f}°" if np.isfinite(full.rotation_deg[one]) else ""
    return f"{full.position_m[one]:.3f} m{turn}"


def _scores(answer: Localization) -> str:
    """Return what speaks for an answer, as text."""
    scores = [f"confidence {answer.estimate.confidence:.2f}"]
    metric = answer.metric
    if metric is not None:
        here = "" if metric.best is None else f" ({len(metric.best.query)} here)"
        scores.append(f"{metric.landmarks} landmarks{here}")
    elif answer.matches:
        scores.append(f"similarity {answer.matches[0].similarity:.2f}")
    return " · ".join(scores)
