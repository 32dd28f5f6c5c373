"""What a run reports while it trains: progress bars, TensorBoard, a history and its plot."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from progeo_core.atomic_file import replaced_file
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.processes import Processes

History = list[dict[str, float]]

_log = logging.getLogger(__name__)


class Journal:
    """History of one run, written by the main process; the other processes write nothing.

    history: one row per epoch, {"epoch": ..., figure: value}; kept in `history.json` and as
        TensorBoard scalars, drawn in `history.png` at the end. A resumed run starts with its
        earlier rows.
    """

    def __init__(self, folder: Path, where: Processes, history: History | None = None) -> None:
        self.history: History = list(history or [])
        self.folder = folder
        self.where = where
        self._board = SummaryWriter(str(folder)) if where.is_main else None
        self._skipped: set[str] = set()
        for row in self.history:
            self._show(row)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files; draw the history even of a run that failed."""
        if self._board is None:
            return
        try:
            self._board.close()
            if self.history:
                draw_history(self.history, self.folder / "history.png")
        except OSError as problem:  # must not hide the error that ended the run
            _log.warning("%s: the history is not drawn (%s)", self.folder, problem.strerror)

    def record(self, epoch: int, **figures: float) -> None:
        """Add the figures of one epoch (0 is the first)."""
        row = {"epoch": epoch, **figures}
        self.history.append(row)
        if self.where.is_main:
            self._show(row)
            text = json.dumps(self.history, indent=1) + "\n"
            replace_file(self.folder / "history.json", text.encode())

    def skip(self, images: tuple[str, ...]) -> None:
        """Count images that could not be read, and list them once each in `skipped.txt`."""
        new = [image for image in images if image not in self._skipped]
        if not new or not self.where.is_main:
            return
        self._skipped.update(new)
        with (self.folder / "skipped.txt").open("a", encoding="utf-8") as listing:
            listing.writelines(f"{image}\n" for image in new)
        _log.warning("%d images skipped so far, last: %s", len(self._skipped), new[-1])

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:
        """Show a progress bar over `total` images for the length of a `with` block."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, disable=not self.where.is_main) as progress:
            yield Bar(progress, description, total)

    def _show(self, row: dict[str, float]) -> None:
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, int(row["epoch"]))  # type: ignore[no-untyped-call]


class Bar:
    """Progress bar with loss, learning rate and images per second beside it."""

    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, figures="")
        self._images = 0

    def advance(self, images: int, loss: float | None = None, rate: float | None = None) -> None:
        """Count some images, and show figures beside the bar."""
        self._images += images
        elapsed = self._progress.tasks[0].elapsed or 1e-9
        figures = f"{self._images / elapsed:.0f} images/s"
        if rate is not None:
            figures = f"lr {rate:.2g}  {figures}"
        if loss is not None:
            figures = f"loss {loss:.3f}  {figures}"
        self._progress.update(self._task, advance=images, figures=figures)


def draw_history(history: History, path: Path) -> None:
    """Draw every figure of the history over the epochs: losses above, recalls below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    losses, recalls = figure.subplots(2, sharex=True)
    names = sorted({name for row in history for name in row} - {"epoch"})
    for name in names:
        rows = [row for row in history if name in row]
        axes: Any = recalls if name.startswith("recall") else losses
        axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], ".-", label=name)
    for axes, title in ((losses, "loss"), (recalls, "recall")):
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend()
    recalls.set_xlabel("epoch")
    with replaced_file(path) as unfinished:
        figure.savefig(unfinished, format="png")
