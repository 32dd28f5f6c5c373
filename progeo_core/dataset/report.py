"""Report on the images of a data set: figures for people, JSON for programs."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from progeo_core.dataset.class_counts import ClassCounts, suggest_classes
from progeo_core.dataset.plan import FOLDERS, DatasetSettings, Fate, Plan
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.csv_cells import no_formula
from progeo_core.records.image_source import ImageSource
from progeo_core.versions import versions

REPORT_FILE, LEFT_OUT_FILE = "dataset.json", "left_out.csv"
_SCHEMA = 1


class DatasetReport(NamedTuple):
    """Contents of a data set.

    images: how many each folder has. left_out: how many images no folder has, by reason. skipped:
    why each unreadable image cannot be read. by_pass: whether the queries of val and test
    are of other passes than their databases, or alternate with them. positions: "utm" or "local".
    classes: the classes of train/, with the settings that suit it.
    """

    folder: Path
    images: dict[str, int]
    left_out: dict[str, int]
    skipped: tuple[str, ...]
    by_pass: dict[str, bool]
    positions: str
    classes: ClassCounts

    def to_json(self) -> dict[str, Any]:
        """Return the figures with the keys of the documented schema."""
        return {
            "schema": _SCHEMA,
            "dataset": str(self.folder),
            "images": self.images,
            "left_out": self.left_out,
            "queries_by_pass": self.by_pass,
            "positions": self.positions,
            "places": self.classes.places,
            "classes": self.classes.classes,
            "groups": self.classes.groups,
            "class_settings": dataclasses.asdict(self.classes.settings),
            "train_with": self.classes.flags(),
        }


def report_dataset(
    folder: Path, source: ImageSource, plan: Plan, names: Sequence[str], unreadable: dict[int, str]
) -> DatasetReport:
    """Count the fates of a plan that was carried out.

    names: [n] as written. unreadable: why the images of some rows could not be read.
    """
    counts = Counter(plan.fates)
    reasons = counts | Counter({Fate.UNPLACED: len(source.unplaced)})
    train = read_names(names[row] for row in plan.rows_of(Fate.TRAIN))
    return DatasetReport(
        folder=folder,
        images={fate.value: counts[fate] for fate in FOLDERS if counts[fate]},
        left_out={why.value: reasons[why] for why in Fate if why not in FOLDERS and reasons[why]},
        skipped=tuple(unreadable.values()),
        by_pass=plan.by_pass,
        positions="utm" if train.zone.any() else "local",
        classes=suggest_classes(train),
    )


def write_report(folder: Path, report: DatasetReport, settings: DatasetSettings) -> None:
    """Write `dataset.json`: the figures, the settings behind them, and versions."""
    document = report.to_json() | {
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
    }
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def write_left_out(
    folder: Path, source: ImageSource, plan: Plan, unreadable: dict[int, str]
) -> None:
    """Write `left_out.csv`: every image that no folder took, by its name at the source, and why.

    Bytes of a name that are no UTF-8 are written by their number, and an apostrophe stands before
    text that a spreadsheet would run.
    """
    path = folder / LEFT_OUT_FILE
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file)
        table.writerow(("image", "traverse", "why"))
        for cells in _left_out(source, plan, unreadable):
            table.writerow(map(no_formula, cells))


def _left_out(
    source: ImageSource, plan: Plan, unreadable: dict[int, str]
) -> Iterator[tuple[str, str, str]]:
    records = source.records
    for row, fate in enumerate(plan.fates):
        if fate not in FOLDERS:
            why = unreadable.get(row, fate.value)
            yield str(records.images[row]), records.traverse[row], why
    for unplaced in source.unplaced:
        image, _, why = unplaced.partition(": ")
        yield image, "", why
