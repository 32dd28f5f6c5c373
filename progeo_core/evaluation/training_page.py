"""A training run as one HTML page: losses, recalls, predictions of its test, settings.

Everything is read from the run's folder (see training/README.md), so a page can be made while the
run goes on. The page requests nothing.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from progeo_core.errors import DataError, counted
from progeo_core.evaluation.plot_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    draw_svg,
    legend_above,
)
from progeo_core.evaluation.report_html import fact_table, figure_table, jpeg_image, wide_plot
from progeo_core.evaluation.self_contained import PageKind
from progeo_core.evaluation.training_examples import epoch_examples, prompt_words
from progeo_core.train.settings import TrainingSettings

_PAGE = PageKind("model history", "a run")
_COLOURS = (BLUE, VERMILION, GREEN, INK, GREY)
# Rows of a long run's table, and examples of predictions for each set of queries.
_ROWS, _EXAMPLES = 40, 24

Row = Mapping[str, float]


class TrainingRun(NamedTuple):
    """What the folder of a run says.

    about: stage, command, settings and versions. history: a row of figures for each epoch. tests:
    figures of the test by set of queries. skipped: images that could not be read.
    """

    folder: Path
    about: dict[str, Any]
    history: list[Row]
    tests: list[dict[str, Any]]
    skipped: int


def read_training_run(folder: Path) -> TrainingRun:
    """Read the folder of a run, logs/SAVE_DIR/STAGE/TIME; `DataError` where it is none."""
    about = _json(folder / "settings.json")
    history = _json(folder / "history.json") if (folder / "history.json").exists() else []
    recalls = folder / "recall.json"
    tests = _json(recalls)["results"] if recalls.exists() else []
    skipped = folder / "skipped.txt"
    count = len(skipped.read_text(errors="replace").splitlines()) if skipped.exists() else 0
    if not isinstance(about, dict) or not isinstance(history, list) or "settings" not in about:
        raise DataError(f"{folder}: its settings.json or history.json is not of a training run")
    return TrainingRun(folder, about, history, tests, count)


def write_training_page(run: TrainingRun, path: Path) -> int:
    """Write the page of a run; return its bytes. `PageKind.write` says what it raises."""
    _PAGE.check(path)
    stage = str(run.about.get("stage", "training"))
    template = resources.files("progeo_core.evaluation").joinpath("training_page.html")
    page = Template(template.read_text(encoding="utf-8")).substitute(
        head=_PAGE.head(f"{stage}, {run.folder.name}"),
        heading=escape(f"{stage}, {run.folder.name}"),
        lead=escape(_lead(run)),
        plots=_plots(run.history),
        epochs=_epochs(run.history),
        tests="".join(_tests(run)),
        examples=epoch_examples(run.folder),
        words=prompt_words(run.folder),
        settings=fact_table(_changed(run.about["settings"])),
    )
    return _PAGE.write(path, page)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a run,"
            " logs/SAVE_DIR/STAGE/TIME"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error


def _lead(run: TrainingRun) -> str:
    if not run.history:
        return "No epoch is done yet."
    said = f"{counted(len(run.history), 'epoch')}."
    best = max(run.history, key=lambda row: row.get("recall_1", -1.0))
    if "recall_1" in best:
        said += f" Best recall@1 {best['recall_1']:.1%}, of epoch {best['epoch']:g}."
    if run.skipped:
        said += f" {run.skipped} images could not be read (skipped.txt)."
    return said


def _names(history: Sequence[Row], recalls: bool) -> list[str]:
    names = dict.fromkeys(name for row in history for name in row if name != "epoch")
    return [name for name in names if name.startswith("recall") == recalls]


def _plots(history: Sequence[Row]) -> str:
    """Return the plots of losses and of recalls, those that there are."""
    kinds = (("loss", _names(history, False)), ("recall", _names(history, True)))
    cards = []
    for title, names in kinds:
        if names:
            plot = wide_plot(_drawer(history, names, title), f"{title} by epoch")
            cards.append(f'<div class="card">{plot}</div>')
    return "".join(cards)


def _drawer(history: Sequence[Row], names: Sequence[str], title: str) -> Callable[[float], str]:
    """Return what draws figures over the epochs in a width (inches)."""

    def draw(axes: Axes) -> None:
        for number, name in enumerate(names):
            rows = [row for row in history if name in row]
            epochs, values = [row["epoch"] for row in rows], [row[name] for row in rows]
            marker = "." if len(rows) < _ROWS else ""
            colour = _COLOURS[number % len(_COLOURS)]
            axes.plot(epochs, values, marker=marker, color=colour, label=_readable(name))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylabel(title)
        legend_above(axes, len(names))

    return lambda width: draw_svg(draw, (width, 3.2))


def _epochs(history: Sequence[Row]) -> str:
    """Return the rows of the table of epochs, of a long run's evenly spaced ones and the last."""
    step = -(-len(history) // _ROWS) or 1
    shown = [row for number, row in enumerate(history) if number % step == 0]
    if history and shown[-1] is not history[-1]:
        shown.append(history[-1])
    names = [*_names(history, False), *_names(history, True)]
    rows = (
        [f"{row['epoch']:g}", *(f"{row[name]:.4f}" if name in row else "" for name in names)]
        for row in shown
    )
    return figure_table([_readable(name) for name in names], rows)


def _readable(name: str) -> str:
    return name.replace("recall_", "recall@").replace("_", " ")


def _tests(run: TrainingRun) -> Iterator[str]:
    """Yield the figures of each test and examples of its predictions, the wrong ones first."""
    for test in run.tests:
        recalls = ", ".join(f"recall@{n} {share:.1%}" for n, share in test["recall_at"].items())
        yield f"<h2>Test: {escape(test['name'])}</h2><p>{escape(recalls)}; {test['queries']}"
        yield f" queries among {test['database']} images.</p>"
        examples = list(_examples(run.folder / "predictions" / test["name"]))
        examples.sort(key=lambda one: one[0])
        if not examples:
            yield "<p>Pictures of predictions are kept with --num_preds_to_save 5.</p>"
            continue
        yield '<div class="card examples">'
        for right, caption, picture in examples[:_EXAMPLES]:
            kind = "right" if right else "wrong"
            yield f'<figure class="{kind}">{jpeg_image(picture.read_bytes(), caption)}'
            yield f"<figcaption>{escape(caption)}</figcaption></figure>"
        yield "</div>"


def _examples(folder: Path) -> Iterator[tuple[bool, str, Path]]:
    """Yield whether a query's best prediction is right, what to say of it, and its picture."""
    table = folder / "predictions.csv"
    if not table.is_file():
        return
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    queries = list(dict.fromkeys(row["query"] for row in rows))
    for number, query in enumerate(queries):
        picture = folder / f"{number:06d}.jpg"
        if not picture.is_file():
            continue
        own = [row for row in rows if row["query"] == query]
        first = next((int(row["rank"]) for row in own if row["right"] == "1"), None)
        where = f"right at rank {first}" if first else f"none of {len(own)} is right"
        yield first == 1, f"{query}: {where}", picture


def _changed(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings of a run that are not the defaults."""
    usual = _flat(dataclasses.asdict(TrainingSettings()))
    changed = [
        (name, str(value))
        for name, value in _flat(settings).items()
        if name not in usual or json.dumps(usual[name]) != json.dumps(value)
    ]
    return changed or [("none", "")]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat
