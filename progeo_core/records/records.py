"""Where images and their positions come from: records.csv, '@' names, EXIF tags of photos."""

from __future__ import annotations

import dataclasses
import enum
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core import geo
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.geo import Datum, FloatArray, Frame
from progeo_core.poses.camera_pose import turned, yaw_of
from progeo_core.records.cosplace_names import NameColumns, is_image_name, read_names
from progeo_core.records.image_list import ImageList, list_images
from progeo_core.records.records_csv import RecordRow, read_rows, write_rows
from progeo_core.records.zoneless_utm import enu_from_zoneless_utm

if TYPE_CHECKING:
    from progeo_core.records.exif import PhotoTags

_log = logging.getLogger(__name__)

# Degrees in a name may be rounded, and of the car rather than the camera: about a kilometre.
_MAX_APART_DEG = 0.01
# Yaw and orientation that differ by more (rad) than rounding or a small tilt can explain.
_MAX_YAW_APART_RAD = 0.1


class Heading(str, enum.Enum):
    """Meaning of the heading field of '@' names; data sets disagree. Of text for typer 0.9."""

    UNKNOWN = "unknown"
    AZIMUTH = "azimuth"  # degrees clockwise from north, of the image's centre


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """Images with their positions, one row each.

    images: files, or names of images that are kept elsewhere.
    position: [n, 3] x, y, z metres (LOCAL) or latitude, longitude degrees, altitude metres (WGS84,
        where an unknown altitude is NaN, as in sensor_msgs/NavSatFix).
    yaw_rad: [n] counter-clockwise from east, NaN unknown.
    stamp_ns: [n] nanoseconds, 0 unknown.
    camera, traverse: [n] names, "" unknown.
    orientation: [n, 4] unit quaternions x y z w that turn the camera's optical axes (x right, y
        down, z forward) into the frame of the positions (WGS84: east, north, up), NaN unknown.
    depth: [n] files of depth images, None where there is none.
    odometry: [n, 3] x, y (m) and yaw (rad) of the robot in the frame of its odometry, NaN unknown.
    The last three may be left out where they are unknown for every row.
    """

    images: tuple[Path, ...]
    position: FloatArray
    frame: Frame
    yaw_rad: FloatArray
    stamp_ns: NDArray[np.int64]
    camera: tuple[str, ...]
    traverse: tuple[str, ...]
    orientation: FloatArray = dataclasses.field(default_factory=lambda: np.empty((0, 4)))
    depth: tuple[Path | None, ...] = ()
    odometry: FloatArray = dataclasses.field(default_factory=lambda: np.empty((0, 3)))

    def __post_init__(self) -> None:
        """Refuse columns of unequal length, which would pair images with wrong places."""
        rows = len(self.images)
        for name, values in (("orientation", 4), ("odometry", 3)):
            if not len(getattr(self, name)):
                # Takes no memory, however many rows there are.
                object.__setattr__(self, name, np.broadcast_to(np.nan, (rows, values)))
        if not self.depth:
            object.__setattr__(self, "depth", (None,) * rows)
        columns = (self.yaw_rad, self.stamp_ns, self.camera, self.traverse, self.depth)
        shapes = (self.position.shape, self.orientation.shape, self.odometry.shape)
        if shapes != ((rows, 3), (rows, 4), (rows, 3)) or any(
            len(column) != rows for column in columns
        ):
            raise ValueError(f"records: every column must have {rows} rows, one per image")

    def __len__(self) -> int:
        return len(self.images)

    def select(self, indices: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Records:
        """Return the rows at `indices` (row numbers, a mask [n], or a slice), in that order."""
        rows = np.arange(len(self))[indices]
        return dataclasses.replace(
            self,
            images=tuple(self.images[row] for row in rows),
            position=self.position[rows],
            yaw_rad=self.yaw_rad[rows],
            stamp_ns=self.stamp_ns[rows],
            camera=tuple(self.camera[row] for row in rows),
            traverse=tuple(self.traverse[row] for row in rows),
            orientation=self.orientation[rows],
            depth=tuple(self.depth[row] for row in rows),
            odometry=self.odometry[rows],
        )

    def default_datum(self) -> Datum | None:
        """Return the first position with the first known altitude; None for LOCAL records."""
        if self.frame is Frame.LOCAL or not len(self):
            return None
        altitude = self.position[np.isfinite(self.position[:, 2]), 2]
        first = float(altitude[0]) if altitude.size else 0.0
        return Datum.checked(float(self.position[0, 0]), float(self.position[0, 1]), first)

    def to_local(self, datum: Datum | None) -> Records:
        """Return records in east-north-up metres from `datum`; LOCAL records are unchanged.

        LOCAL metres that are UTM metres near the datum are turned, with a warning, and directions
        and orientations with them, as grid north is not north. Raises
        `UsageError` for WGS84 records without a datum.
        """
        if self.frame is Frame.LOCAL:
            moved = None if datum is None else enu_from_zoneless_utm(self.position, datum)
            if moved is None:
                return self
            return dataclasses.replace(
                self,
                position=moved.position,
                yaw_rad=geo.wrap_angle(self.yaw_rad + moved.turn_rad),
                orientation=turned(self.orientation, moved.turn_rad),
            )
        if datum is None:
            raise UsageError(
                "the positions are latitude and longitude: a datum LAT,LON[,ALT] is needed"
                " to turn them into metres"
            )
        position = geo.enu_from_wgs84(self.position, datum)
        return dataclasses.replace(self, position=position, frame=Frame.LOCAL)


class PlacedRecords(NamedTuple):
    """Images of a folder or table that have a position, and why each of the others has none."""

    records: Records
    unplaced: tuple[str, ...]


def join_records(parts: Sequence[Records]) -> Records:
    """Return the rows of all parts in their order; `UsageError` where metres and degrees mix."""
    frames = {part.frame for part in parts}
    if len(frames) != 1:
        raise UsageError(
            "some positions are metres and others are latitude and longitude: give sources of one"
            " kind only"
        )
    return Records(
        images=tuple(image for part in parts for image in part.images),
        position=np.concatenate([part.position for part in parts]),
        frame=frames.pop(),
        yaw_rad=np.concatenate([part.yaw_rad for part in parts]),
        stamp_ns=np.concatenate([part.stamp_ns for part in parts]),
        camera=tuple(camera for part in parts for camera in part.camera),
        traverse=tuple(traverse for part in parts for traverse in part.traverse),
        orientation=np.concatenate([part.orientation for part in parts]),
        depth=tuple(depth for part in parts for depth in part.depth),
        odometry=np.concatenate([part.odometry for part in parts]),
    )


def read_records(csv: Path) -> Records:
    """Read a records.csv, less the rows without a position; see `read_placed_records`."""
    return read_placed_records(csv).records


def read_placed_records(csv: Path) -> PlacedRecords:
    """Read a records.csv.

    Columns: `image` (relative to the file, or absolute) and `x_m,y_m[,z_m][,yaw_rad]` or
    `lat_deg,lon_deg[,alt_m][,heading_deg]`; optional `qx,qy,qz,qw` (see `Records.orientation`),
    `depth` (a file, named as `image` is), `odom_x_m,odom_y_m,odom_yaw_rad` (see
    `Records.odometry`), `stamp_ns`, `camera`, `traverse`. A blank cell of an optional column is
    unknown; other columns are ignored. A direction that is not given is that of
    the optical axis. Rows at latitude 0, longitude 0 are skipped and counted in a warning. Raises
    `DataError` naming file, line, column and fix.
    """
    frame, rows, unplaced = read_rows(csv)
    direction = np.array([row.direction for row in rows])
    yaw_rad = geo.wrap_angle(direction) if frame is Frame.LOCAL else geo.yaw_from_heading(direction)
    orientation = np.array([row.orientation for row in rows])
    axis_yaw_rad = yaw_of(orientation)
    _warn_of_contradiction(csv, yaw_rad, axis_yaw_rad)
    records = Records(
        images=tuple(row.image for row in rows),
        position=np.array([row.position for row in rows]),
        frame=frame,
        yaw_rad=np.where(np.isnan(yaw_rad), axis_yaw_rad, yaw_rad),
        stamp_ns=np.array([row.stamp_ns for row in rows], np.int64),
        camera=tuple(row.camera for row in rows),
        traverse=tuple(row.traverse for row in rows),
        orientation=orientation,
        depth=tuple(row.depth for row in rows),
        odometry=np.array([row.odometry for row in rows]),
    )
    return PlacedRecords(records, unplaced)


def write_records(csv: Path, records: Records) -> None:
    """Write a records.csv that `read_records` reads as the same records.

    Files are named relative to it, and columns that are unknown for every row are left out.
    """
    local = records.frame is Frame.LOCAL
    direction = records.yaw_rad if local else geo.heading_from_yaw(records.yaw_rad)
    columns = (
        records.images,
        records.position.tolist(),
        direction.tolist(),
        records.stamp_ns.tolist(),
        records.camera,
        records.traverse,
        records.orientation.tolist(),
        records.depth,
        records.odometry.tolist(),
    )
    write_rows(csv, records.frame, [RecordRow(*row) for row in zip(*columns, strict=True)])


def _warn_of_contradiction(csv: Path, yaw_rad: FloatArray, axis_yaw_rad: FloatArray) -> None:
    apart = np.abs(geo.wrap_angle(yaw_rad - axis_yaw_rad))
    both = np.isfinite(apart)
    wrong = np.count_nonzero(apart[both] > _MAX_YAW_APART_RAD)
    if 2 * wrong > np.count_nonzero(both):
        _log.warning(
            "%s: in %d of %d rows the direction is not that of the orientation, by %.2f rad in the"
            " middle; qx,qy,qz,qw must turn the camera's optical axes (x right, y down, z forward)"
            " into the map frame, not those of the robot",
            csv,
            wrong,
            np.count_nonzero(both),
            np.median(apart[both]),
        )


def read_image_folder(folder: Path, heading: Heading = Heading.UNKNOWN) -> PlacedRecords:
    """Read the images under a folder by their '@' names, or else by the EXIF GPS of photos.

    `heading` states what the heading field of '@' names means; unless it is stated, yaw is unknown.
    Photos without a GPS position are skipped and counted in a warning. Raises `DataError` where
    names cannot be read or nothing has a position.
    """
    images = list_images(folder)
    if any(is_image_name(name) for name in images.names()):
        return PlacedRecords(_records_of_names(images, heading), ())
    return _records_of_photos(images)


def _records_of_names(images: ImageList, heading: Heading) -> Records:
    columns = read_names(images.names())
    frame = _frame_of_names(images, columns)
    if frame is Frame.WGS84:
        position = _geodetic(images, columns)
    else:
        height = np.nan_to_num(columns.height_m, nan=0.0)
        position = np.stack([columns.east_m, columns.north_m, height], axis=-1)
    stated = heading is Heading.AZIMUTH
    yaw = geo.yaw_from_heading(columns.heading_deg) if stated else np.full(len(images), np.nan)
    blank = ("",) * len(images)
    return Records(tuple(images), position, frame, yaw, columns.stamp_ns, blank, blank)


def _frame_of_names(images: ImageList, columns: NameColumns) -> Frame:
    """Return WGS84 where names give zone and letter or degrees, LOCAL where they give neither."""
    geodetic = _has_utm(columns) | _has_degrees(columns)
    metric = np.isfinite(columns.east_m) & np.isfinite(columns.north_m) & (columns.zone == 0)
    if not (geodetic | metric).all():
        first = images[int(np.flatnonzero(~(geodetic | metric))[0])]
        raise DataError(
            f"{first}: the name holds no position; it needs UTM metres with zone and letter,"
            " degrees, or local metres without a zone"
        )
    if geodetic.any() and not geodetic.all():
        first = images[int(np.flatnonzero(~geodetic)[0])]
        raise DataError(
            f"{first}: no UTM zone in this name, but in others; give it to all of them or to none"
        )
    return Frame.WGS84 if geodetic.all() else Frame.LOCAL


def _geodetic(images: ImageList, columns: NameColumns) -> FloatArray:
    """Return latitude, longitude, altitude [n, 3], each UTM zone turned on its own."""
    position = np.stack([columns.lat_deg, columns.lon_deg, columns.height_m], axis=-1)
    utm = _has_utm(columns)
    for zone, letter in sorted(set(zip(columns.zone[utm], columns.letter[utm], strict=True))):
        rows = utm & (columns.zone == zone) & (columns.letter == letter)
        try:
            lat, lon = geo.wgs84_from_utm(
                columns.east_m[rows], columns.north_m[rows], int(zone), str(letter)
            )
        except DataError as error:
            first = int(np.flatnonzero(rows)[0])
            beside = _degrees_in_words(columns, first) if _has_degrees(columns)[first] else ""
            raise DataError(f"{images[first]}: {error}{beside}") from error
        position[rows, 0], position[rows, 1] = lat, lon
    _check_degrees(images, columns, position)
    return position


def _check_degrees(images: ImageList, columns: NameColumns, position: FloatArray) -> None:
    """Raise `DataError` for a name whose degrees are not where its UTM metres are."""
    both = np.flatnonzero(_has_utm(columns) & _has_degrees(columns))
    north = columns.lat_deg[both] - position[both, 0]
    east = (columns.lon_deg[both] - position[both, 1] + 180.0) % 360.0 - 180.0
    apart = np.hypot(north, east * np.cos(np.radians(position[both, 0])))
    wrong = both[apart > _MAX_APART_DEG]
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{images[row]}: UTM zone {columns.zone[row]}{columns.letter[row]} puts it at latitude"
            f" {position[row, 0]:.5f}, longitude {position[row, 1]:.5f}"
            f"{_degrees_in_words(columns, row)}; {wrong.size} of {len(images)} names are like this"
        )


def _degrees_in_words(columns: NameColumns, row: int) -> str:
    return (
        f", but its degrees are latitude {columns.lat_deg[row]:.5f}, longitude"
        f" {columns.lon_deg[row]:.5f}"
    )


def _has_utm(columns: NameColumns) -> NDArray[np.bool_]:
    metres = np.isfinite(columns.east_m) & np.isfinite(columns.north_m)
    return np.asarray(metres & (columns.zone > 0) & (columns.letter != ""))


def _has_degrees(columns: NameColumns) -> NDArray[np.bool_]:
    # False for NaN too.
    return np.asarray((np.abs(columns.lat_deg) <= 90.0) & (np.abs(columns.lon_deg) <= 180.0))


def _records_of_photos(images: ImageList) -> PlacedRecords:
    from progeo_core.records.exif import read_photo_tags

    placed: list[tuple[Path, PhotoTags]] = []
    unplaced: list[str] = []
    for path in images:
        try:
            tags = read_photo_tags(path)
        except ImageError as error:
            unplaced.append(str(error))
            continue
        if tags.position_problem:
            unplaced.append(f"{path}: {tags.position_problem}")
        else:
            placed.append((path, tags))
    if not placed:
        raise DataError(
            f"{images.folder}: none of {len(images)} images has a position: give '@' names, photos"
            " with GPS, or a records.csv"
        )
    if unplaced:
        _log.warning("%d of %d photos skipped, first: %s", len(unplaced), len(images), unplaced[0])
    return PlacedRecords(_records_of_tags(placed), tuple(unplaced))


def _records_of_tags(placed: list[tuple[Path, PhotoTags]]) -> Records:
    tags = [tag for _, tag in placed]
    blank = ("",) * len(placed)
    return Records(
        images=tuple(path for path, _ in placed),
        position=np.array([tag[:3] for tag in tags]),
        frame=Frame.WGS84,
        yaw_rad=geo.yaw_from_heading([tag.heading_deg for tag in tags]),
        stamp_ns=np.array([tag.stamp_ns for tag in tags], np.int64),
        camera=blank,
        traverse=blank,
    )
