"""`progeo fleet push` and `pull`: a robot's map to the fleet's store, and a region of it back."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import print_fields, progress, waiting
from progeo_core.commands.options import MapArgument
from progeo_core.errors import UsageError
from progeo_core.map.sqlite_file import check_name, require_file

if TYPE_CHECKING:
    from progeo_core.fleet.region import Region

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="URI",
        help="The fleet's store: a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or"
        " az://CONTAINER/PATH. Credentials come from the environment.",
        show_default=False,
    ),
]
RobotOption = Annotated[
    str | None,
    typer.Option(
        "--robot",
        metavar="NAME",
        help="Robot whose places these are. Default: the name of this machine.",
        show_default=False,
    ),
]


def push(
    map_path: MapArgument,
    uri: StoreArgument,
    robot: RobotOption = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="NAME",
            help="What the fleet calls this map of the robot. Default: the name of its file.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add the places of a robot's map that the fleet's store does not have yet.

    The store is made where there is none. Batches are kept as soon as they are counted: after an
    interruption the same command goes on with the rest, and a second run adds nothing.

        progeo fleet push yard.progeo s3://fleet/places --robot ada
        progeo fleet push yard.progeo /mnt/fleet --robot ada --session morning
    """
    require_file(map_path)
    from progeo_core.fleet.lance_store import open_fleet
    from progeo_core.fleet.push import push_map, session_of_map
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(map_path) as place_map:
        named = session_of_map(place_map, platform.node() if robot is None else robot, session)
        with waiting("opening the store"):
            store = open_fleet(uri, place_map.fingerprint)
        with progress("pushing places", len(place_map)) as advance:
            report = push_map(place_map, store, named, advance=advance)
    fields: dict[str, object] = {
        "robot": named.robot,
        "session": named.name,
        "added": report.added,
        "in the store already": report.known,
    }
    if report.unlikely_stamps:
        fields["with unlikely stamps"] = report.unlikely_stamps
    print_fields(uri, fields)


def pull(
    uri: StoreArgument,
    map_path: MapArgument,
    near: Annotated[
        str | None,
        typer.Option(
            "--near", metavar="LAT,LON", help="Middle of the region (degrees).", show_default=False
        ),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            "--radius",
            metavar="M",
            help="With --near: horizontal distance (m) up to which places are wanted.",
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            "--box",
            metavar="S,W,N,E",
            help="The region as its southern, western, northern and eastern edge (degrees); west"
            " above east crosses the antimeridian.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the places of a region to a new map, with its index, ready for a robot.

    Metres start from the datum of the session that comes first; places of others are moved there.
    The map appears whole or not at all.

        progeo fleet pull s3://fleet/places yard.progeo \\
            --near 48.137,11.575 --radius 500
        progeo fleet pull /mnt/fleet city.progeo --box 48.1,11.5,48.2,11.6
    """
    check_name(map_path)
    region = _region(near, radius, box)
    from progeo_core.fleet.lance_store import open_fleet
    from progeo_core.fleet.pull import pull_region
    from progeo_core.map.summary import datum_line

    with waiting("pulling places"):
        report = pull_region(open_fleet(uri), region, map_path)
    fields = {"places": report.places, "sessions": len(report.sessions)}
    print_fields(str(map_path), fields | {"datum": datum_line(report.datum)})


def _region(near: str | None, radius: float | None, box: str | None) -> Region:
    from progeo_core.fleet.region import Region

    if (near is None) == (box is None) or (near is None) != (radius is None):
        raise UsageError("name the region by --near LAT,LON with --radius M, or by --box S,W,N,E")
    if near is not None and radius is not None:
        lat, lon = _numbers("--near", near, 2)
        return Region.near(lat, lon, radius)
    south, west, north, east = _numbers("--box", box or "", 4)
    return Region(south, west, north, east)


def _numbers(flag: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise UsageError(f"{flag} '{text}': give {count} degrees with commas between them")
    return numbers
