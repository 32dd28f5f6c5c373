"""Replays that are made up: answers at given places, as they would come from a bag."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.evaluation.metrics import evaluate
from progeo_core.evaluation.replay import Replay, ReplayInput
from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization, Match
from progeo_core.map.place_map import PlaceTable
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.poses.pose_track import PosesAt


def replay_of(
    truth: ArrayLike,
    estimate: ArrayLike,
    confidence: ArrayLike,
    folder: Path,
    *,
    places: FloatArray | None = None,
    similarity: float = 0.5,
) -> Replay:
    """Return a replay of answers at given places, as it would come from a bag."""
    truth2, sureness = np.asarray(truth), np.asarray(confidence)
    count = len(truth2)
    truth3 = np.column_stack([truth2, np.zeros(count)]).astype(float)
    estimate3 = np.column_stack([np.asarray(estimate), np.zeros(count)]).astype(float)
    stamps = np.arange(1, count + 1) * 100_000_000
    position = truth3 if places is None else np.column_stack([places, np.zeros(len(places))])
    number = len(position)
    table = PlaceTable(
        np.arange(1, number + 1), position, np.full(number, np.nan), np.zeros(number, np.int64),
        ("",) * number, ("",) * number, tuple(f"{row}.jpg" for row in range(number)),
    )  # fmt: skip
    answers = [
        Localization(
            int(stamp), "", PoseEstimate(answer, np.nan, np.eye(6), float(sure)), None,
            bool(sure > 0.5), "LOCALIZED", "",
            (Match(1, similarity, answer, np.nan, "0.jpg"),), np.empty(0, np.float32),
        )
        for stamp, answer, sure in zip(stamps, estimate3, sureness, strict=True)
    ]  # fmt: skip
    source = ReplayInput(
        folder / "bag", folder / "a.progeo", "/image", "/pose", 2.0, stamps,
        PosesAt(truth3, np.full(count, np.nan)), table, None,
        ModelFingerprint("tiny", 8, "64x64", "ab" * 32), np.full((count, 4), np.nan),
    )  # fmt: skip
    rows = np.arange(count)
    evaluation = evaluate(answers, truth3, position, 2.0)
    return Replay(
        source,
        "offline",
        rows,
        tuple(answers),
        np.full(count, 5.0),
        {"failed": 0},
        rows,
        evaluation,
    )
