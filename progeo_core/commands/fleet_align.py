"""`progeo fleet align`: two drives of one site that have no common frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from progeo_core.commands.console import print_fields, waiting
from progeo_core.commands.options import MODEL, DeviceOption
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import FloatArray
from progeo_core.map.sqlite_file import require_file

if TYPE_CHECKING:
    from progeo_core.fleet.alignment import Alignment


def align(
    first: Annotated[
        Path,
        typer.Argument(metavar="MAP_A", help="Map whose frame stays.", show_default=False),
    ],
    second: Annotated[
        Path,
        typer.Argument(metavar="MAP_B", help="Map of a drive that met it.", show_default=False),
    ],
    near: Annotated[
        str | None,
        typer.Option(
            "--near",
            metavar="X,Y,YAW",
            help="Where the frame of MAP_B roughly is in that of MAP_A: metres and degrees, within"
            " 15 m and 30°. Default: what the datums of both maps say.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="MAP",
            help="New map of both, in the frame of MAP_A.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = MODEL.device,
) -> None:
    """Find where one drive's map lies in another's, by the places that both passed.

    Places that look alike and agree with each other are looked at closely; with 3-D points, they
    are located to centimetres. Maps are refused where too few places agree. Where several
    transforms fit, as on floors that are built alike, they are listed: say with --near which is
    right. Nothing is written without --out.

        progeo fleet align monday.progeo tuesday.progeo --out site.progeo
    """
    hint = None if near is None else _pose(near)
    for path in (first, second):
        require_file(path)
    if out is not None and out.exists():
        raise DataError(f"{out} exists already: choose another name for the merged map")
    from progeo_core.fleet.alignment import align_maps
    from progeo_core.map.merge import merge_maps
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.poses.transform import IDENTITY

    with (
        PlaceMap.open(first) as one,
        PlaceMap.open(second) as other,
        waiting("comparing the drives"),
    ):
        found = align_maps(one, other, hint, device)
    print_fields(f"frame of {second} in that of {first}", _fields_of(found))
    if out is not None:
        report = merge_maps([first, second], out, frames=[IDENTITY, found.frame.transform])
        print_fields(str(out), {"places": report.places})


def _fields_of(found: Alignment) -> dict[str, object]:
    x, y, z, yaw = found.frame.pose
    sigma = np.sqrt(np.diag(found.frame.covariance))
    fields: dict[str, object] = {
        "x, y, z": f"{x:.3f}, {y:.3f}, {z:.3f} m",
        "yaw": f"{np.degrees(yaw):.2f}°",
        "standard deviations": f"{sigma[0]:.3f}, {sigma[1]:.3f}, {sigma[2]:.3f} m,"
        f" {np.degrees(sigma[3]):.2f}°; {found.position_sigma_m:.3f} m amid the shared places",
        "places that agree": f"{found.agreeing} of {found.compared}",
    }
    if found.located:
        fields["located by 3-D points"] = f"{found.located} places"
    return fields


def _pose(text: str) -> FloatArray:
    """Return x, y (m) and yaw (rad) [3] of X,Y,YAW with the yaw in degrees."""
    try:
        x, y, yaw = (float(part) for part in text.split(","))
        pose = np.array([x, y, np.radians(yaw)])
    except ValueError:
        pose = np.full(3, np.nan)
    if not np.isfinite(pose).all():
        raise UsageError(f"--near {text}: give metres and degrees as X,Y,YAW, such as 30,-12.5,90")
    return pose
