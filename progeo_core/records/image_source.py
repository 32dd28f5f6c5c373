"""Images with known positions, wherever they are kept: a table, a folder, a bag, memory."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError, ImageError
from progeo_core.geo import Frame
from progeo_core.images.codec import Image, encode_jpeg, load_images
from progeo_core.images.depth import FloatArray32, read_depth
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.images.prefetch import prefetch
from progeo_core.records.records import (
    Heading,
    Records,
    join_records,
    read_image_folder,
    read_placed_records,
)

_log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]


class ImageSource(Protocol):
    """Records of some images, and the images themselves in the same order."""

    @property
    def records(self) -> Records:
        """Return one row per image."""
        ...

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Return why each image without a row has no known position."""
        ...

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield one image, or why it cannot be used, per row of the records.

        needed_side: pixels each way that suffice (see `decode_image`), 0 for all.
        """
        ...

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Return the calibration of each camera that has one, by its name in the records."""
        ...

    def depths(self) -> Iterator[FloatArray32 | None]:
        """Yield the depth [h, w] (m, NaN unknown) per row of the records, None where there is none.

        Its pixels are those of the image, at another size with the same field of view.
        """
        ...

    def select(self, rows: IntArray) -> ImageSource:
        """Return the source of some rows only, which ascend."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Image source that reads files."""

    records: Records
    unplaced: tuple[str, ...] = ()
    calibration: Intrinsics | None = None

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads."""
        return load_images(self.records.images, needed_side)

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Return the one calibration for every camera."""
        return intrinsics_by_camera(self.records, self.calibration)

    def depths(self) -> Iterator[FloatArray32 | None]:
        """Yield the depths in the order of the records, read ahead by threads.

        Files that cannot be read count as none, with a warning.
        """
        return without_errors(prefetch(_depth_or_error, self.records.depth))

    def select(self, rows: IntArray) -> FileSource:
        """Return the source of some rows only."""
        return dataclasses.replace(self, records=self.records.select(rows))


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource:
    """Images in memory; make one with `source_of_arrays`."""

    records: Records
    pixels: Sequence[Image]
    unplaced: tuple[str, ...] = ()
    calibration: Intrinsics | None = None

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records."""
        return iter(self.pixels)

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Return the one calibration for every camera."""
        return intrinsics_by_camera(self.records, self.calibration)

    def depths(self) -> Iterator[FloatArray32 | None]:
        """Yield None for every row: images in memory have no depth."""
        return iter([None] * len(self.records))

    def select(self, rows: IntArray) -> ArraySource:
        """Return the source of some rows only."""
        chosen = [self.pixels[row] for row in rows]
        return dataclasses.replace(self, records=self.records.select(rows), pixels=chosen)


@dataclasses.dataclass(frozen=True, eq=False)
class JoinedSource:
    """Several sources, one after another; all must have the same frame."""

    parts: tuple[ImageSource, ...]

    @functools.cached_property
    def records(self) -> Records:
        """Return the rows of all parts in their order."""
        return join_records([part.records for part in self.parts])

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Return why each image without a row has no known position."""
        return tuple(why for part in self.parts for why in part.unplaced)

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images of all parts in their order."""
        for part in self.parts:
            yield from part.images(needed_side)

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Return the calibrations of all parts; of one camera in several, that of the first."""
        return {
            camera: found
            for part in reversed(self.parts)
            for camera, found in part.intrinsics.items()
        }

    def depths(self) -> Iterator[FloatArray32 | None]:
        """Yield the depths of all parts in their order."""
        for part in self.parts:
            yield from part.depths()

    def select(self, rows: IntArray) -> JoinedSource:
        """Return the source of some rows only, which ascend; parts without any are left out."""
        chosen: list[ImageSource] = []
        start = 0
        for part in self.parts:
            stop = start + len(part.records)
            own = rows[(rows >= start) & (rows < stop)] - start
            if own.size:
                chosen.append(part.select(own))
            start = stop
        return JoinedSource(tuple(chosen))


def source_of_records(csv: str | Path, calibration: Intrinsics | None = None) -> ImageSource:
    """Read a records.csv; `DataError` names file, line, column and fix.

    calibration: of every camera of the records.
    """
    return FileSource(*read_placed_records(Path(csv)), calibration)


def source_of_folder(
    folder: str | Path,
    heading: Heading = Heading.UNKNOWN,
    calibration: Intrinsics | None = None,
) -> ImageSource:
    """Read a folder of images with '@' names or of photos with EXIF GPS.

    calibration: of every camera.
    """
    return FileSource(*read_image_folder(Path(folder), heading), calibration)


def source_of_arrays(
    images: Sequence[Image],
    position: ArrayLike,
    yaw_rad: ArrayLike | None = None,
    stamp_ns: ArrayLike | None = None,
    calibration: Intrinsics | None = None,
) -> ImageSource:
    """Return the source of images in memory; the places are named "0", "1", ...

    images: n of RGB uint8 [h, w, 3]. position: [n, 2] or [n, 3] metres east, north, up.
    yaw_rad: [n] counter-clockwise from east, None or NaN unknown. stamp_ns: [n], None or 0 unknown.
    calibration: of the camera, None unknown.
    Raises `DataError` for other shapes, and for images that are not RGB uint8.
    """
    metres = np.asarray(position, np.float64)
    rows = len(images)
    if metres.shape not in {(rows, 2), (rows, 3)}:
        raise DataError(
            f"{rows} images and positions of shape {list(metres.shape)}: [{rows}, 2] or [{rows}, 3]"
            " is needed, x and y (and z) in metres for each image"
        )
    for row, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f"image {row}: {image.dtype} {list(image.shape)}, but RGB uint8 [h, w, 3] is needed"
            )
    records = Records(
        images=tuple(Path(str(row)) for row in range(rows)),
        position=np.concatenate([metres, np.zeros((rows, 3 - metres.shape[1]))], axis=1),
        frame=Frame.LOCAL,
        yaw_rad=_column("yaw_rad", yaw_rad, rows, np.nan),
        stamp_ns=_column("stamp_ns", stamp_ns, rows, 0),
        camera=("",) * rows,
        traverse=("",) * rows,
    )
    return ArraySource(records, images, calibration=calibration)


def records_in_files(source: ImageSource, folder: Path) -> Records:
    """Return records whose images are files: those of a source that has none are written there.

    Images that cannot be used are left out, with a warning.
    """
    if isinstance(source, FileSource):
        return source.records
    kept: list[int] = []
    files: list[Path] = []
    for row, image in enumerate(source.images()):
        if isinstance(image, ImageError):
            _log.warning("%s", image)
            continue
        files.append(folder / f"{row}.jpg")
        files[-1].write_bytes(encode_jpeg(image))
        kept.append(row)
    records = source.records.select(np.array(kept, np.int64))
    return dataclasses.replace(records, images=tuple(files))


def intrinsics_by_camera(records: Records, calibration: Intrinsics | None) -> dict[str, Intrinsics]:
    """Return one calibration for every camera of the records, nothing where there is none."""
    return {} if calibration is None else dict.fromkeys(records.camera, calibration)


def without_errors(
    depths: Generator[FloatArray32 | ImageError | None, None, None],
) -> Iterator[FloatArray32 | None]:
    """Yield depths, None in the place of each error; count them in one warning at the end."""
    errors: list[ImageError] = []
    try:
        for depth in depths:
            if isinstance(depth, ImageError):
                errors.append(depth)
            yield None if isinstance(depth, ImageError) else depth
    finally:
        depths.close()
        if errors:
            _log.warning("%d depth images are left out, first: %s", len(errors), errors[0])


def _depth_or_error(path: Path | None) -> FloatArray32 | ImageError | None:
    try:
        return None if path is None else read_depth(path)
    except ImageError as error:
        return error


def _column(name: str, values: ArrayLike | None, rows: int, unknown: float) -> NDArray[Any]:
    """Return a column [n] of the type of its unknown value; `DataError` for another length."""
    column = np.asarray(np.full(rows, unknown) if values is None else values, type(unknown))
    if column.shape != (rows,):
        raise DataError(f"{name} has the shape {list(column.shape)}: [{rows}] is needed, one a row")
    return column
