import numpy as np

from progeo_core.evaluation.plot_style import BLUE, draw_svg, legend_above, scatter


def draw(count):
    points = np.random.default_rng(0).random((count, 2))

    def on(axes):
        scatter(axes, points, c=BLUE, label="points")
        legend_above(axes, 1)

    return draw_svg(on, (4.0, 3.0))


def test_equal_plots_are_equal_files():
    assert draw(10) == draw(10)


def test_very_many_points_are_pixels():
    few, many = draw(3000), draw(20_000)
    assert "<image" not in few
    assert "<image" in many
    assert len(many) < len(few)
