"""`progeo localize`: where was this taken, how sure, which places matched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from progeo_core.commands.console import print_json, progress, results, say_skipped, waiting
from progeo_core.commands.options import MODEL, DeviceOption, JsonFlag, MapArgument, ModelOption
from progeo_core.errors import ImageError
from progeo_core.geo import heading_from_yaw

if TYPE_CHECKING:
    from progeo_core.localizer import Localization, Match

SCHEMA = 1


def localize(
    map_path: MapArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Image files, any size.", show_default=False),
    ],
    as_json: JsonFlag = False,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
) -> None:
    """Say where images were taken, how sure that is, and which places of the map they look like.

    Every image is answered by itself. An answer that is not accepted has too little confidence for
    a robot to use: several places look alike. Images that cannot be read are named and left out;
    the command fails where none is left.

        progeo localize office.progeo photo.jpg
        progeo localize office.progeo shots/*.jpg --json

    JSON: schema (1), map, answers; of each image: image, accepted, state, reason, confidence
    (0 to 1), position (x, y, z in metres east, north, up), yaw_rad (counter-clockwise from east,
    or null), sigma_m (standard deviations of x, y, z), covariance (6 × 6 by rows: x y z roll pitch
    yaw), geodetic (lat, lon, alt, or null), matches (place_id, similarity, position, yaw_rad,
    image); or image and error.
    """
    from progeo_core.images import read_image
    from progeo_core.localizer import CameraFrame, Localizer
    from progeo_core.model.loading import load_encoder
    from progeo_core.place_index import PlaceIndex
    from progeo_core.place_map import PlaceMap

    answers: list[tuple[Path, Localization | ImageError]] = []
    with PlaceMap.open(map_path) as place_map:
        with waiting("loading the model"):
            encoder = load_encoder(model, device)
            place_map.require_model(encoder.fingerprint)
            localizer = Localizer(place_map, PlaceIndex.open(place_map), encoder)
        with progress("localizing", len(images)) as advance:
            for path in images:
                try:
                    answers.append((path, localizer.localize(CameraFrame(read_image(path)))))
                except ImageError as error:
                    answers.append((path, error))
                advance(1)
    if as_json:
        documents = [_document(path, answer) for path, answer in answers]
        print_json({"schema": SCHEMA, "map": str(map_path), "answers": documents})
    else:
        _print_answers(answers)
    failed = [str(answer) for _, answer in answers if isinstance(answer, ImageError)]
    say_skipped(failed)
    if len(failed) == len(images):
        raise ImageError("no image can be used: check the files named above")


def _print_answers(answers: list[tuple[Path, Localization | ImageError]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    for name in ("state", "confidence", "east, north (m)", "± (m)", "heading", "best match"):
        table.add_column(name, overflow="fold")
    geodetic = any(not isinstance(one, ImageError) and one.geodetic for _, one in answers)
    if geodetic:
        table.add_column("latitude, longitude")
    for path, answer in answers:
        if not isinstance(answer, ImageError):
            table.add_row(path.name, *_cells(answer))
    if table.row_count:
        results.print(table)


def _cells(answer: Localization) -> list[str]:
    """Return the columns of one answer, in the order of the table."""
    estimate, best = answer.estimate, answer.matches[0]
    sigma = math.sqrt(max(estimate.covariance[0, 0], estimate.covariance[1, 1]))
    known = math.isfinite(estimate.yaw_rad)
    heading = f"{float(heading_from_yaw(estimate.yaw_rad)):.0f}°" if known else "unknown"
    cells = [
        f"[{'green' if answer.accepted else 'yellow'}]{answer.state}[/]",
        f"{estimate.confidence:.2f}",
        f"{estimate.position[0]:.1f}, {estimate.position[1]:.1f}",
        f"{sigma:.1f}",
        heading,
        f"{Path(best.image).name} ({best.similarity:.2f})",
    ]
    if answer.geodetic is not None:
        cells.append(f"{answer.geodetic[0]:.6f}, {answer.geodetic[1]:.6f}")
    return cells


def _document(path: Path, answer: Localization | ImageError) -> dict[str, Any]:
    """Return the JSON of one image."""
    if isinstance(answer, ImageError):
        return {"image": str(path), "error": str(answer)}
    estimate = answer.estimate
    return {
        "image": str(path),
        "accepted": answer.accepted,
        "state": answer.state,
        "reason": answer.reason,
        "confidence": float(estimate.confidence),
        "position": estimate.position.tolist(),
        "yaw_rad": _known(estimate.yaw_rad),
        "sigma_m": [math.sqrt(estimate.covariance[axis, axis]) for axis in range(3)],
        "covariance": estimate.covariance.tolist(),
        "geodetic": answer.geodetic,
        "matches": [_match_document(match) for match in answer.matches],
    }


def _match_document(match: Match) -> dict[str, Any]:
    return {
        "place_id": match.place_id,
        "similarity": match.similarity,
        "position": match.position.tolist(),
        "yaw_rad": _known(match.yaw_rad),
        "image": match.image,
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
