from xml.etree import ElementTree

import pytest

from progeo_core.evaluation.comparison.compare_models import ComparedModel, Comparison
from progeo_core.evaluation.comparison.picture import draw_comparison


@pytest.mark.slow
def test_every_model_is_drawn_with_its_recalls_and_costs():
    single = {1: 0.81, 5: 0.92, 10: 0.95, 20: 1.0}
    verified = {**single, 1: 0.9}
    models = tuple(
        ComparedModel(f"model {n}", 512 * n, "torch", 20.0 + n, 6_000_000, single, verified)
        for n in (1, 2, 3)
    )
    drawn = draw_comparison(Comparison(2.5, 10, 9, 8, models, (), 0.1))
    ElementTree.fromstring(drawn)
    for text in ("model 1", "model 3", "1536 values, 23 ms, 6.0 MB", "0.81", "0.90", "N = 20"):
        assert f"<!-- {text} -->" in drawn
