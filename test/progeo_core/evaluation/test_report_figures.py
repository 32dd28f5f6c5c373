import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.evaluation import report_figures
from progeo_core.evaluation.metrics import evaluate
from progeo_core.evaluation.plot_style import GREEN
from progeo_core.evaluation.replay import Replay, ReplayInput
from progeo_core.localization.answer import Localization, Match
from progeo_core.map.place_map import PlaceTable
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.poses.pose_track import PosesAt

DRAWINGS = (
    report_figures.draw_plan,
    report_figures.draw_error_over_time,
    report_figures.draw_error_distribution,
    report_figures.draw_precision_recall,
    report_figures.draw_latency,
    report_figures.draw_reliability,
)


def replay_of(truth, estimate, confidence, tmp_path):
    """Return a replay of answers at given places, as it would come from a bag."""
    count = len(truth)
    truth3 = np.column_stack([truth, np.zeros(count)]).astype(float)
    estimate3 = np.column_stack([estimate, np.zeros(count)]).astype(float)
    stamps = np.arange(1, count + 1) * 100_000_000
    places = PlaceTable(
        np.arange(1, count + 1), truth3, np.full(count, np.nan), np.zeros(count, np.int64),
        ("",) * count, ("",) * count, tuple(f"{row}.jpg" for row in range(count)),
    )  # fmt: skip
    match = Match(1, 0.5, truth3[0], np.nan, "0.jpg")
    answers = [
        Localization(
            int(stamp), "", PoseEstimate(position, np.nan, np.eye(6), float(sure)), None,
            bool(sure > 0.5), "LOCALIZED", "", (match,), np.empty(0, np.float32),
        )
        for stamp, position, sure in zip(stamps, estimate3, confidence, strict=True)
    ]  # fmt: skip
    source = ReplayInput(
        tmp_path / "bag", tmp_path / "a.progeo", "/image", "/pose", 2.0, stamps,
        PosesAt(truth3, np.full(count, np.nan)), places, None,
        ModelFingerprint("tiny", 8, "64x64", "ab" * 32), np.full((count, 4), np.nan),
    )  # fmt: skip
    rows = np.arange(count)
    evaluation = evaluate(answers, truth3, places.position, 2.0)
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


LINE = np.column_stack([np.arange(8.0), np.zeros(8)])
CASES = {
    "one answer": (LINE[:1], LINE[:1], [0.9]),
    "all in one spot": (np.zeros((4, 2)), np.zeros((4, 2)), [0.9, 0.9, 0.2, 0.1]),
    "all wrong, none accepted": (LINE, LINE + 50.0, np.zeros(8)),
    "all wrong, all accepted": (LINE, LINE + 5000.0, np.ones(8)),
    "tall": (LINE[:, ::-1] * 100, LINE[:, ::-1] * 100, np.linspace(0, 1, 8)),
    "very many": (
        np.tile(LINE, (500, 1)), np.tile(LINE, (500, 1)) + 1.0, np.linspace(0, 1, 4000)
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_plot_draws_every_run(case, tmp_path):
    run = replay_of(*CASES[case], tmp_path)
    for draw in DRAWINGS:
        svg = draw(run)
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg", draw.__name__
        assert len(svg) < 1_000_000, draw.__name__


def test_a_sequence_adds_a_curve(tmp_path):
    single = replay_of(LINE, LINE + 3.0, np.linspace(0, 1, 8), tmp_path)
    figures = dataclasses.replace(single.evaluation, sequence=single.evaluation)
    both = dataclasses.replace(single, evaluation=figures)
    for draw in DRAWINGS[2:4]:
        assert draw(both).count(GREEN.lower()) > 0
        assert draw(single).count(GREEN.lower()) == 0


def test_axes_have_units(tmp_path):
    run = replay_of(LINE, LINE, np.ones(8), tmp_path)
    # Text is drawn as shapes; matplotlib keeps the words in comments.
    assert "<!-- east (m) -->" in report_figures.draw_plan(run)
    assert "<!-- position error (m) -->" in report_figures.draw_error_over_time(run)
    assert "<!-- latency (ms) -->" in report_figures.draw_latency(run)
