"""Draw the animation of the README from shipped images: `python docs/make_animation.py`.

Every other image of the campus loop makes a map; the images between them are localized in it, one
at a time. Each frame shows the image, the place that it matched, and the estimate on the plan.
"""

from __future__ import annotations

import io
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray
from PIL import Image

from progeo_core import CameraFrame, Localizer, build_map, load_encoder, read_image
from progeo_core.localization.answer import Localization
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.records.image_source import ImageSource, source_of_records
from progeo_core.records.records import Records

TARGET = Path(__file__).resolve().parent.parent / "resource" / "localization.webp"
CAMPUS = Path(str(resources.files("progeo_core"))) / "demo_data" / "campus_loop"
# Colours of Okabe and Ito, safe for all eyes.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#C3CAD2"
# Half the axis of the ellipse that 90 % of a planar normal distribution lie in, in deviations.
NINETY = 2.146
MILLISECONDS = 350
MARGIN_M = 8.0


def main() -> None:
    """Map, localize, draw, and write the animation."""
    source = source_of_records(CAMPUS / "records.csv")
    rows = np.arange(len(source.records))
    reference, queries = source.select(rows[::2]), source.records.select(rows[1::2])
    answers = localize_all(reference, queries)
    frames = [draw_frame(row, answers, queries, reference.records) for row in range(len(answers))]
    first, *others = frames
    first.save(
        TARGET,
        save_all=True,
        append_images=others,
        duration=MILLISECONDS,
        loop=0,
        quality=60,
        method=6,
    )


def localize_all(reference: ImageSource, queries: Records) -> list[Localization]:
    """Return the answers to the queries from a map of the reference, one image at a time."""
    encoder = load_encoder()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "campus.progeo"
        build_map(path, reference, encoder)
        with Localizer.open(path, encoder, LocalizerSettings(sequence=False)) as localizer:
            return [localizer.localize(CameraFrame(read_image(one))) for one in queries.images]


def draw_frame(
    row: int, answers: list[Localization], queries: Records, reference: Records
) -> Image.Image:
    """Return the frame of one answer, with the estimates before it as a trail."""
    answer = answers[row]
    figure = Figure(figsize=(9.6, 2.7), dpi=100)
    grid = figure.add_gridspec(1, 3, width_ratios=(1.78, 1.78, 1.35))
    figure.subplots_adjust(left=0.005, right=0.995, top=0.88, bottom=0.02, wspace=0.03)
    camera, match, plan = (figure.add_subplot(grid[0, column]) for column in range(3))
    draw_picture(camera, queries.images[row], "camera")
    draw_picture(match, Path(answer.matches[0].image), "best match in the map")
    draw_plan(plan, answers[: row + 1], queries.position[row], reference)
    return as_picture(figure)


def draw_picture(axes: Axes, path: Path, title: str) -> None:
    """Draw one image file under a title."""
    axes.imshow(read_image(path))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def draw_plan(
    axes: Axes, answers: list[Localization], truth: NDArray[np.float64], reference: Records
) -> None:
    """Draw the places, the truth, and the newest estimate with its 90 % ellipse."""
    answer = answers[-1]
    colour = BLUE if answer.accepted else VERMILION
    places = reference.position[:, :2]
    axes.plot(*places.T, ".", color=GREY, markersize=6, label="place of the map")
    accepted = [one.estimate.position[:2] for one in answers[:-1] if one.accepted]
    if accepted:
        axes.plot(*np.transpose(accepted), ".", color=BLUE, markersize=3)
    axes.plot(*truth[:2], "x", color="black", markersize=8, label="truth")
    axes.plot(*answer.estimate.position[:2], "o", color=colour, markersize=6, label="estimate")
    axes.add_patch(ellipse(answer, colour))
    word = "accepted" if answer.accepted else "withheld"
    axes.set_title(f"{word}, confidence {answer.estimate.confidence:.2f}", fontsize=10)
    axes.legend(loc="center", fontsize=8, frameon=False)
    (west, south), (east, north) = places.min(axis=0) - MARGIN_M, places.max(axis=0) + MARGIN_M
    axes.set(xlim=(west, east), ylim=(south, north), aspect="equal")
    axes.set_axis_off()


def ellipse(answer: Localization, colour: str) -> Ellipse:
    """Return the ellipse in which the estimate expects 90 % of the truths."""
    variance, axis = np.linalg.eigh(answer.estimate.covariance[:2, :2])
    height, width = 2.0 * NINETY * np.sqrt(variance)
    angle = np.degrees(np.arctan2(axis[1, 1], axis[0, 1]))
    x, y = answer.estimate.position[:2]
    return Ellipse((x, y), width, height, angle=angle, color=colour, alpha=0.25, linewidth=0)


def as_picture(figure: Figure) -> Image.Image:
    """Return a figure as RGB pixels."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return Image.open(drawn).convert("RGB")


if __name__ == "__main__":
    main()
