"""Writing of a folder to train and evaluate on: train/, val/ and test/, with '@' names."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from progeo_core.dataset.names import image_names
from progeo_core.dataset.plan import FOLDERS, DatasetSettings, Fate, Plan, plan_dataset
from progeo_core.dataset.query_tables import write_query_tables
from progeo_core.dataset.report import (
    DatasetReport,
    report_dataset,
    write_left_out,
    write_report,
)
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.geo import Datum, Frame
from progeo_core.images.codec import Image, encode_jpeg
from progeo_core.images.prefetch import prefetch
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource

# Training sees crops of the images, so they are kept better than pictures for people are.
_JPEG_QUALITY = 95


def write_dataset(
    folder: Path,
    source: ImageSource,
    settings: DatasetSettings,
    *,
    datum: Datum | None = None,
    advance: Advance = no_progress,
) -> DatasetReport:
    """Write images to train/, val/ and test/ of a new folder, whole or not at all.

    Images become upright JPEG files with '@' names (see `image_names`), and queries have a table,
    too (see `write_query_tables`). datum: the point on earth that local metres start from.
    `dataset.json` reports the result and its settings, and
    `left_out.csv` the images that no folder has, and why. `advance` counts all images of the
    source. Raises `UsageError` for a folder that has files and for a datum beside degrees;
    `DataError` where the site is too small, images cannot be read, or nothing can be written.
    """
    check_target(folder)
    _check_datum(source, datum)
    plan = plan_dataset(source.records.to_local(source.records.default_datum()), settings)
    names = image_names(source.records, datum)
    try:
        with _unfinished(folder) as unfinished:
            unreadable = _write_images(unfinished, source, plan, names, advance)
            written = _without_unreadable(plan, unreadable)
            report = report_dataset(folder, source, written, names, unreadable)
            write_query_tables(unfinished, source.records, written, names, datum)
            write_left_out(unfinished, source, written, unreadable)
            write_report(unfinished, report, settings)
            unfinished.rename(folder)
    except OSError as error:
        raise DataError(
            f"{folder}: the data set cannot be written ({error.strerror or error}); check free"
            " space and permissions"
        ) from error
    return report


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, to be renamed to it; removed where the block fails.

    What a kill left there is removed by the next start. A lock on the folder itself, which ends
    with the process, keeps two of them apart.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{folder}: another process is writing it; wait for it, or choose another path"
            ) from None
        _remove_content(unfinished)
        try:
            yield unfinished
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _remove_content(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def check_target(folder: Path) -> None:
    """Raise `UsageError` for a folder that has files, before any slow work is done."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty, and nothing is overwritten: choose another path")


def _check_datum(source: ImageSource, datum: Datum | None) -> None:
    if datum is not None and source.records.frame is Frame.WGS84:
        raise UsageError(
            "the positions are latitude and longitude already: leave the datum out, which is for"
            " local metres"
        )


def _write_images(
    folder: Path, source: ImageSource, plan: Plan, names: Sequence[str], advance: Advance
) -> dict[int, str]:
    """Write what has a folder in the plan; return why the images of some rows cannot be read."""
    rows = [row for row, fate in enumerate(plan.fates) if fate in FOLDERS]
    targets = [folder / plan.fates[row].value / names[row] for row in rows]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True)
    advance(len(plan.fates) - len(rows))
    unreadable: dict[int, str] = {}
    images = source.select(np.array(rows, np.int64)).images()
    # Closed before an interruption goes on, as its threads write into what is then removed.
    with contextlib.closing(prefetch(_write_image, zip(targets, images, strict=True))) as written:
        for row, problem in zip(rows, written, strict=True):
            if problem is not None:
                unreadable[row] = str(problem)
            advance(1)
    return unreadable


def _write_image(job: tuple[Path, Image | ImageError]) -> ImageError | None:
    target, image = job
    if isinstance(image, ImageError):
        return image
    target.write_bytes(encode_jpeg(image, _JPEG_QUALITY))
    return None


def _without_unreadable(plan: Plan, unreadable: dict[int, str]) -> Plan:
    """Return what was written of a plan; `DataError` where a folder has nothing left."""
    fates = list(plan.fates)
    for row in unreadable:
        fates[row] = Fate.UNREADABLE
    emptied = {fate for fate in FOLDERS if fate in plan.fates} - set(fates)
    if emptied:
        names = ", ".join(sorted(fate.value for fate in emptied))
        raise DataError(
            f"{len(unreadable)} images cannot be read, and none is left for {names}; first:"
            f" {next(iter(unreadable.values()))}"
        )
    return plan._replace(fates=tuple(fates))
