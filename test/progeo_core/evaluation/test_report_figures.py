import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import ArrayLike

from progeo_core.evaluation import report_figures
from progeo_core.evaluation.plot_style import GREEN
from test.replays import replay_of

DRAWINGS = (
    report_figures.draw_error_distribution,
    report_figures.draw_precision_recall,
    report_figures.draw_latency,
    report_figures.draw_reliability,
)


LINE = np.column_stack([np.arange(8.0), np.zeros(8)])
CASES: dict[str, tuple[ArrayLike, ArrayLike, ArrayLike]] = {
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
    truth, estimate, confidence = CASES[case]
    run = replay_of(truth, estimate, confidence, tmp_path)
    for draw in DRAWINGS:
        svg = draw(run)
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg", draw.__name__
        assert len(svg) < 1_000_000, draw.__name__


def test_a_sequence_adds_a_curve(tmp_path):
    single = replay_of(LINE, LINE + 3.0, np.linspace(0, 1, 8), tmp_path)
    figures = dataclasses.replace(single.evaluation, sequence=single.evaluation)
    both = dataclasses.replace(single, evaluation=figures)
    for draw in DRAWINGS[:2]:
        assert draw(both).count(GREEN.lower()) > 0
        assert draw(single).count(GREEN.lower()) == 0


def test_axes_have_units(tmp_path):
    run = replay_of(LINE, LINE, np.ones(8), tmp_path)
    # Text is drawn as shapes; matplotlib keeps the words in comments.
    assert "<!-- position error (m) -->" in report_figures.draw_error_distribution(run)
    assert "<!-- latency (ms) -->" in report_figures.draw_latency(run)
