"""`progeo localize`: where images were taken, how sure that is, which places matched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from progeo_core.commands.console import print_fields, print_json, progress, say_skipped, waiting
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    JsonFlag,
    MapArgument,
    ModelOption,
    RuntimeOption,
    read_intrinsics,
)
from progeo_core.errors import ImageError
from progeo_core.geo import heading_from_yaw

if TYPE_CHECKING:
    from progeo_core.localization.answer import Localization, Match

SCHEMA = 1
_SHOWN_MATCHES = 3


def localize(
    map_path: MapArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Image files, any size.", show_default=False),
    ],
    as_json: JsonFlag = False,
    camera_info: CameraInfoOption = None,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
) -> None:
    """Find where images were taken, how sure that is, and which places of the map they show.

    Every image is answered by itself. An answer that is not accepted has too little confidence for
    a robot to use: several places are similar. Images that cannot be read are listed and skipped;
    the command fails if none can be read.

        progeo localize office.progeo photo.jpg
        progeo localize office.progeo shots/*.jpg --json
        progeo localize lab.progeo photo.jpg --camera-info camera.yaml

    JSON: schema (1), map, answers; for each image: image, accepted, state, reason, confidence
    (0 to 1), position (x, y, z in metres east, north, up), yaw_rad (counter-clockwise from east,
    or null), sigma_m (standard deviations of x, y, z), covariance (6 × 6 by rows: x y z roll pitch
    yaw), geodetic (lat, lon, alt, or null), matches (place_id, similarity, position, yaw_rad,
    image), method (place or metric), camera_pose (null, or position and orientation, the quaternion
    x y z w of its optical axes); or image and error.
    """
    from progeo_core.images.codec import read_image
    from progeo_core.inference.loading import load_encoder
    from progeo_core.localization.answer import CameraFrame
    from progeo_core.localization.localizer import Localizer
    from progeo_core.localization.prepared_map import PreparedMap
    from progeo_core.map.place_index import PlaceIndex
    from progeo_core.map.place_map import PlaceMap

    intrinsics = read_intrinsics(camera_info)
    answers: list[tuple[Path, Localization | ImageError]] = []
    with PlaceMap.open(map_path) as place_map:
        with waiting("loading the model"):
            place_map.require_model((encoder := load_encoder(model, device, runtime)).fingerprint)
            index = PlaceIndex.open(place_map)
            localizer = Localizer(PreparedMap(place_map, index, device), encoder)
        with progress("localizing", len(images)) as advance:
            for path in images:
                try:
                    frame = CameraFrame(read_image(path), intrinsics=intrinsics)
                    answers.append((path, localizer.localize(frame)))
                except ImageError as error:
                    answers.append((path, error))
                advance(1)
    if as_json:
        shown = [_document(path, answer) for path, answer in answers]
        print_json({"schema": SCHEMA, "map": str(map_path), "answers": shown})
    else:
        _print_answers(answers)
    say_skipped(failed := [str(one) for _, one in answers if isinstance(one, ImageError)])
    if len(failed) == len(images):
        raise ImageError("no image can be used: check the files named above")


def _print_answers(answers: list[tuple[Path, Localization | ImageError]]) -> None:
    for path, answer in answers:
        if not isinstance(answer, ImageError):
            _print_answer(path, answer)


def _print_answer(path: Path, answer: Localization) -> None:
    estimate = answer.estimate
    sigma = math.sqrt(max(estimate.covariance[0, 0], estimate.covariance[1, 1]))
    digits = 1 if answer.metric is None else 3
    east, north = estimate.position[:2]
    known = math.isfinite(estimate.yaw_rad)
    heading = f"{float(heading_from_yaw(estimate.yaw_rad)):.0f}°" if known else "unknown"
    fields = {
        "answer": f"{answer.state}: {answer.reason}",
        "position": f"{east:.{digits}f} m east, {north:.{digits}f} m north"
        f" (± {sigma:.{digits}f} m), heading {heading}",
    }
    if answer.geodetic is not None:
        fields["on earth"] = (
            f"latitude {answer.geodetic[0]:.6f}°, longitude {answer.geodetic[1]:.6f}°"
        )
    best = answer.matches[:_SHOWN_MATCHES]
    fields["looks like"] = "\n".join(f"{one.image} ({one.similarity:.2f})" for one in best)
    print_fields(str(path), fields)


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
        "method": answer.method,
        "camera_pose": _pose_document(answer),
    }


def _pose_document(answer: Localization) -> dict[str, Any] | None:
    if answer.metric is None:
        return None
    pose = answer.metric.pose
    return {"position": pose.position.tolist(), "orientation": pose.orientation.tolist()}


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
