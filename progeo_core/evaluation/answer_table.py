"""The answers of a replay as data: one row per image and run, as CSV and as lines of JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from progeo_core.atomic_file import replaced_file
from progeo_core.evaluation.metric_poses import angle_deg
from progeo_core.evaluation.metrics import Evaluation
from progeo_core.evaluation.replay import Replay
from progeo_core.geo import FloatArray, heading_from_yaw, wgs84_from_enu, wrap_angle
from progeo_core.localization.answer import Localization
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.records.csv_cells import no_formula

# A cell of the CSV lists so many matches; the lines of JSON have all of them.
_MATCHES = 5


class AnswerRow(NamedTuple):
    """Answer to one image in one run, beside the truth; None where something is unknown.

    image: its file, or topic and stamp in a bag. run: "single image" or "sequence". x_m, y_m, z_m:
    metres of the map; headings: degrees clockwise from north. error_m: horizontal. error_deg: angle
    between the orientations where both are known, else between the headings. right: within the
    radius; on_map: a place of the map is. sigma_m: largest horizontal standard deviation. matches:
    the most similar places, best first. encode_ms, search_ms, estimate_ms: of its steps;
    latency_ms: of the published answer, as the report has it.
    """

    image: str
    stamp_ns: int | None
    camera: str
    run: str
    accepted: bool
    state: str
    reason: str
    confidence: float
    method: str
    x_m: float
    y_m: float
    z_m: float
    heading_deg: float | None
    lat_deg: float | None
    lon_deg: float | None
    sigma_m: float
    true_x_m: float | None
    true_y_m: float | None
    true_z_m: float | None
    true_heading_deg: float | None
    true_lat_deg: float | None
    true_lon_deg: float | None
    error_m: float | None
    error_deg: float | None
    right: bool | None
    on_map: bool | None
    landmarks: int | None
    matches: tuple[dict[str, Any], ...]
    encode_ms: float
    search_ms: float
    estimate_ms: float
    latency_ms: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the columns by their names, as a line of answers.jsonl has them."""
        return self._asdict() | {"matches": list(self.matches)}

    def to_cells(self) -> list[Any]:
        """Return the cells of a line of answers.csv, empty where something is unknown.

        A spreadsheet runs none of them.
        """
        best = " ".join(f"{one['place_id']}:{one['similarity']}" for one in self.matches[:_MATCHES])
        cells = self._asdict() | {"matches": best}
        known = ("" if one is None else one for one in cells.values())
        return [no_formula(one) if isinstance(one, str) else one for one in known]


def answer_rows(replay: Replay) -> list[AnswerRow]:
    """Return the rows of all runs, one run after another, each in the order of the images."""
    return [
        row for name, run in replay.evaluation.runs.items() for row in _rows_of(replay, name, run)
    ]


def write_answers(rows: Sequence[AnswerRow], table: Path, lines: Path) -> None:
    """Write rows as CSV and as lines of JSON, each file whole or not at all."""
    with (
        replaced_file(table) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(AnswerRow._fields)
        writer.writerows(row.to_cells() for row in rows)
    with replaced_file(lines) as unfinished:
        unfinished.write_text(
            "".join(f"{json.dumps(row.to_json(), allow_nan=False)}\n" for row in rows), "utf-8"
        )


def _rows_of(replay: Replay, name: str, run: Evaluation) -> Iterator[AnswerRow]:
    source = replay.source
    published = run is replay.evaluation.published
    truth = source.truth.position[replay.rows]
    true_yaw_rad = source.truth.yaw_rad[replay.rows]
    degrees = np.full((len(replay.rows), 3), np.nan)
    known = np.isfinite(truth[:, :2]).all(axis=1)
    if source.datum is not None and known.any():
        degrees[known] = wgs84_from_enu(np.nan_to_num(truth[known]), source.datum)
    figure_of = {int(row): number for number, row in enumerate(replay.evaluated)}
    for number, answer in enumerate(replay.answers[name]):
        row, figure = int(replay.rows[number]), figure_of.get(number)
        lat_deg, lon_deg, _ = answer.geodetic or (None, None, None)
        yield AnswerRow(
            image=source.image_name(row),
            stamp_ns=int(source.stamp_ns[row]) or None,
            camera=answer.camera,
            run=name,
            **_decision(answer),
            heading_deg=_heading(answer.estimate.yaw_rad),
            lat_deg=_rounded(lat_deg, 8),
            lon_deg=_rounded(lon_deg, 8),
            **_named(_TRUTH, [_rounded(one, 4) for one in truth[number]]),
            true_heading_deg=_heading(true_yaw_rad[number]),
            true_lat_deg=_rounded(degrees[number, 0], 8),
            true_lon_deg=_rounded(degrees[number, 1], 8),
            error_m=None if figure is None else _rounded(run.error_m[figure], 4),
            error_deg=_error_deg(answer, true_yaw_rad[number], source.orientation[row]),
            right=None if figure is None else bool(run.right[figure]),
            on_map=None if figure is None else bool(run.localizable[figure]),
            **_named(_STEPS, [round(one * 1e3, 3) for one in answer.seconds]),
            latency_ms=round(float(replay.latency_ms[number]), 3) if published else None,
        )


_TRUTH = ("true_x_m", "true_y_m", "true_z_m")
_STEPS = ("encode_ms", "search_ms", "estimate_ms")


def _named(names: Sequence[str], values: Sequence[float | None]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def _decision(answer: Localization) -> dict[str, Any]:
    """Return the columns that an answer holds as they are."""
    estimate = answer.estimate
    variance = np.diag(estimate.covariance)[:2]
    return {
        "accepted": answer.accepted,
        "state": answer.state,
        "reason": answer.reason,
        "confidence": round(float(estimate.confidence), 5),
        "method": answer.method,
        **{f"{axis}_m": round(float(estimate.position[at]), 4) for at, axis in enumerate("xyz")},
        "sigma_m": round(float(np.sqrt(variance.max())), 4),
        "landmarks": None if answer.metric is None else answer.metric.landmarks,
        "matches": tuple(
            {
                "place_id": one.place_id,
                "similarity": round(float(one.similarity), 4),
                "image": one.image,
            }
            for one in answer.matches
        ),
    }


def _error_deg(answer: Localization, true_yaw_rad: float, orientation: FloatArray) -> float | None:
    """Return how far an answer's direction is off (degrees), None where it cannot be known."""
    if answer.metric is not None and np.isfinite(orientation).all():
        return _rounded(angle_deg(answer.metric.pose.rotation, rotation_of(orientation)), 3)
    return _rounded(math.degrees(abs(float(wrap_angle(answer.estimate.yaw_rad - true_yaw_rad)))), 3)


def _heading(yaw_rad: float) -> float | None:
    return _rounded(float(heading_from_yaw(yaw_rad)), 3)


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a number for a table, None where it is unknown."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
