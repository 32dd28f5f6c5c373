"""Descriptors of many images in one NumPy file, and a document beside it that names the rows.

Rows are written as they come, so memory stays flat.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.descriptors.encoder import Encoder, Skipped, describe
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.images.codec import load_images
from progeo_core.progress import Advance, no_progress

_SCHEMA = 1
# Of unit length, as computed in half precision.
_MAX_LENGTH_ERROR = 0.01


class DescriptorReport(NamedTuple):
    """Image of every row, and why each image that was left out cannot be used."""

    images: tuple[str, ...]
    skipped: tuple[str, ...]


def describe_to_file(
    target: Path, paths: Sequence[Path], encoder: Encoder, *, advance: Advance = no_progress
) -> DescriptorReport:
    """Write the descriptors of images as float32 [n, D] in the order of `paths`.

    A JSON file of the same name says which image each row is. Both appear whole or not at all, and
    never beside those of another run. Raises `DataError` where they cannot be written, where no
    image can be used, and for a descriptor that is not as long as the model's are.
    """
    named = target.with_suffix(".json")
    try:
        with replaced_file(named) as document, replaced_file(target) as unfinished:
            report = _write(unfinished, paths, encoder, advance)
            text = json.dumps(_document(report, encoder.fingerprint), indent=2, ensure_ascii=False)
            # A byte of a file's name that is no UTF-8 becomes an escape of JSON this way.
            document.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
            for complete in (document, unfinished):
                with complete.open("rb") as file:
                    os.fsync(file.fileno())
            # Two files cannot change at once; for a moment, rows without names are no wrong ones.
            named.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror})") from error
    return report


def _document(report: DescriptorReport, model: ModelFingerprint) -> dict[str, Any]:
    return {"schema": _SCHEMA, **report._asdict(), "model": dataclasses.asdict(model)}


def _write(
    unfinished: Path, paths: Sequence[Path], encoder: Encoder, advance: Advance
) -> DescriptorReport:
    images: list[str] = []
    skipped: list[str] = []
    with unfinished.open("wb") as file:
        # Written again when the number of rows is known: numpy pads it for that.
        _write_header(file, len(paths), encoder.fingerprint.dimension)
        loaded = load_images(paths, encoder.fingerprint.image_side)
        for outcome in describe(encoder, loaded, paths):
            if isinstance(outcome, Skipped):
                skipped.append(str(outcome.error))
            else:
                images.append(str(paths[outcome.index]))
                _check(outcome.descriptor, images[-1], encoder.fingerprint)
                file.write(np.ascontiguousarray(outcome.descriptor, np.float32).tobytes())
            advance(1)
        if not images:
            raise DataError(f"none of {len(paths)} images can be used, first: {skipped[0]}")
        file.seek(0, os.SEEK_SET)
        _write_header(file, len(images), encoder.fingerprint.dimension)
    return DescriptorReport(tuple(images), tuple(skipped))


def _check(descriptor: NDArray[np.float32], image: str, model: ModelFingerprint) -> None:
    """Raise `DataError` for a descriptor that nothing can be compared with."""
    length = float(np.linalg.norm(descriptor))
    if model.normalized and abs(length - 1) > _MAX_LENGTH_ERROR:
        raise DataError(
            f"{image}: its descriptor by {model} has the length {length:.3g} and not 1, as that"
            " model's should; import the model again"
        )


def _write_header(file: BinaryIO, rows: int, dimension: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)}
    np.lib.format.write_array_header_1_0(file, header)
