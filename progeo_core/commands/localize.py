"""`progeo localize`: where images were taken, how sure that is, which places matched."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import typer

from progeo_core.atomic_file import replaced_file
from progeo_core.commands.console import print_fields, print_json, progress, say_skipped, waiting
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    JsonFlag,
    MapArgument,
    MapModelOption,
    ModelChoice,
    RuntimeOption,
    TrustFlag,
    read_intrinsics,
)
from progeo_core.errors import DataError, ImageError
from progeo_core.geo import heading_from_yaw
from progeo_core.map.sqlite_file import require_file

if TYPE_CHECKING:
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.localization.answer import Localization, Match
    from progeo_core.localization.localizer import Localizer
    from progeo_core.localization.prepared_map import PreparedMap
    from progeo_core.poses.camera_pose import CameraPose

SCHEMA = 1
_SHOWN_MATCHES = 3
# A camera that looks up or down more steeply has no heading: cosine of its elevation.
_LEVEL = 0.02

_MatchesOption = Annotated[
    Path | None,
    typer.Option(
        "--matches",
        metavar="DIR",
        help="Folder for a picture of each image beside the place it matched; lines join the"
        " landmarks of a full pose.",
    ),
]


def localize(
    map_path: MapArgument,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE", help="Image files, or folders of them.", show_default=False
        ),
    ],
    as_json: JsonFlag = False,
    camera_info: CameraInfoOption = None,
    matches: _MatchesOption = None,
    model: MapModelOption = None,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Find where images were taken, how sure that is, and which places of the map they show.

    Every image is answered by itself. An answer that is not accepted has too little confidence to
    be used: several places are similar. Images that cannot be read are listed, and left out.

    A similarity is about 0 for unrelated places and below 1 for the same photo, as what all places
    of the map share does not count; beside it stands how many pairs of places of this map that are
    far apart are less alike.

        progeo localize office.progeo photo.jpg
        progeo localize office.progeo shots/ --json
        progeo localize lab.progeo photo.jpg --camera-info camera.yaml \\
            --matches out/

    JSON: schema (1), map, answers; for each image: image, accepted, state, reason, confidence (0 to
    1), position (metres east, north, up), yaw_rad (counter-clockwise from east, or null), sigma_m
    (standard deviations), covariance (6 × 6 by rows: x y z roll pitch yaw), geodetic (lat, lon,
    alt, or null), matches (place_id, similarity, position, yaw_rad, image), method (place, metric),
    camera_pose (null, or position and orientation x y z w of its optical axes); or image and error.
    """
    require_file(map_path)
    images = _image_files(images)
    answers = _answers(
        map_path,
        images,
        _picture_names(images, matches),
        read_intrinsics(camera_info),
        ModelChoice(model, device, runtime, trust_code),
    )
    if as_json:
        shown = [_document(answer) for answer in answers]
        print_json({"schema": SCHEMA, "map": str(map_path), "answers": shown})
    else:
        for answer in answers:
            _print_answer(answer)
    failed = [str(one.result) for one in answers if isinstance(one.result, ImageError)]
    say_skipped(failed)
    if len(failed) == len(images):
        raise ImageError("no image can be used: check the files named above")


def _answers(
    map_path: Path,
    images: list[Path],
    pictures: list[Path | None],
    intrinsics: Intrinsics | None,
    run_by: ModelChoice,
) -> list[_Answer]:
    """Localize images one by one."""
    from progeo_core.localization.localizer import Localizer
    from progeo_core.localization.localizer_settings import LocalizerSettings
    from progeo_core.localization.prepared_map import PreparedMap
    from progeo_core.map.place_index import PlaceIndex
    from progeo_core.map.place_map import PlaceMap

    settings = LocalizerSettings(sequence=False)
    answers: list[_Answer] = []
    with PlaceMap.open(map_path) as place_map:
        with waiting("loading the model"):
            encoder = run_by.load(place_map)
            index = PlaceIndex.open(place_map)
            prepared = PreparedMap(place_map, index, run_by.extractor())
            localizer = Localizer(prepared, encoder, settings)
        with progress("localizing", len(images)) as advance:
            for path, picture in zip(images, pictures, strict=True):
                answers.append(_answer(localizer, prepared, path, intrinsics, picture))
                advance(1)
    return answers


def _image_files(paths: list[Path]) -> list[Path]:
    """Return the files named, and those of the folders named."""
    from progeo_core.bags.recognition import Role, role_folder
    from progeo_core.records.image_list import list_images

    found: list[Path] = []
    for path in paths:
        found += list_images(role_folder(path, Role.QUERIES)) if path.is_dir() else [path]
    return found


class _Answer(NamedTuple):
    """Answer to an image, or why it cannot be used.

    picture: of the match, None where none is drawn. less_alike: for the best matches, which share
    of pairs of places far apart is less alike.
    """

    path: Path
    result: Localization | ImageError
    picture: Path | None = None
    less_alike: tuple[float, ...] = ()


def _picture_names(images: list[Path], folder: Path | None) -> list[Path | None]:
    """Return where the picture of each image goes, each under a name of its own."""
    if folder is None:
        return [None] * len(images)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be made ({error.strerror})") from error
    taken = Counter(path.stem for path in images)
    return [
        folder / (f"{path.stem}.jpg" if taken[path.stem] == 1 else f"{number}_{path.stem}.jpg")
        for number, path in enumerate(images, start=1)
    ]


def _answer(
    localizer: Localizer,
    prepared: PreparedMap,
    path: Path,
    intrinsics: Intrinsics | None,
    picture: Path | None,
) -> _Answer:
    """Localize one image, and draw its match where a picture is wanted."""
    from progeo_core.images.codec import encode_jpeg, read_image
    from progeo_core.localization.answer import CameraFrame
    from progeo_core.localization.match_picture import draw_match

    try:
        image = read_image(path)
    except ImageError as error:
        return _Answer(path, error)
    try:
        result = localizer.localize(CameraFrame(image, intrinsics=intrinsics))
    except ImageError as error:
        return _Answer(path, ImageError(f"{path}: {error}"))
    if picture is not None:
        place = result.shown_place
        thumbnail = None if place is None else prepared.place_map.thumbnail(place)
        with replaced_file(picture) as unfinished:
            unfinished.write_bytes(encode_jpeg(draw_match(image, result, thumbnail)))
    alike = (prepared.share_less_alike(one.similarity) for one in result.matches[:_SHOWN_MATCHES])
    return _Answer(path, result, picture, tuple(alike))


def _print_answer(answer: _Answer) -> None:
    result = answer.result
    if isinstance(result, ImageError):
        return
    fields = {"answer": f"{result.state}: {result.reason}", "position": _position(result)}
    if result.metric is not None:
        fields["camera"] = _direction(result.metric.pose)
    if result.geodetic is not None:
        latitude, longitude, _ = result.geodetic
        fields["on earth"] = f"latitude {latitude:.6f}°, longitude {longitude:.6f}°"
    fields["looks like"] = "\n".join(map(_likeness, result.matches, answer.less_alike))
    if answer.picture is not None:
        fields["picture"] = str(answer.picture)
    print_fields(str(answer.path), fields)


def _likeness(match: Match, less_alike: float) -> str:
    """Return a place, its similarity, and how unusual that is for places that are far apart."""
    said = f"similarity {match.similarity:.2f}"
    if not math.isnan(less_alike):
        # Rounded down, as only all of them are 100 %.
        said = f"{said}, above {math.floor(1000.0 * less_alike) / 10.0:g} % of places far apart"
    return f"{match.image} ({said})"


def _position(answer: Localization) -> str:
    """Return where an answer is, and how sure that is; a full pose to the millimetre."""
    estimate = answer.estimate
    east, north, up = estimate.position
    sigma = np.sqrt(np.diag(estimate.covariance))
    if answer.metric is not None:
        return (
            f"{east:.3f} m east, {north:.3f} m north, {up:.3f} m up"
            f" (± {np.linalg.norm(sigma[:3]):.3f} m)"
        )
    known = math.isfinite(estimate.yaw_rad)
    heading = f"{float(heading_from_yaw(estimate.yaw_rad)):.0f}°" if known else "unknown"
    return f"{east:.1f} m east, {north:.1f} m north (± {max(sigma[:2]):.1f} m), heading {heading}"


def _direction(pose: CameraPose) -> str:
    """Return where a camera looks: heading, up or down, and how far it is tilted to a side."""
    right, _, forward = pose.rotation.T
    rise = math.degrees(math.asin(np.clip(forward[2], -1.0, 1.0)))
    level = math.hypot(forward[0], forward[1])
    if level < _LEVEL:
        return f"looks straight {'up' if rise > 0.0 else 'down'}"
    # Of the horizontal direction to the right of where it looks.
    beside = np.array([forward[1], -forward[0], 0.0]) / level
    tilt = math.degrees(math.atan2(-right[2], float(right @ beside)))
    heading = float(heading_from_yaw(pose.yaw_rad))
    return (
        f"heading {heading:.1f}°, looks {abs(rise):.1f}° {'up' if rise > 0.0 else 'down'},"
        f" tilted {abs(tilt):.1f}° to the {'right' if tilt > 0.0 else 'left'}"
    )


def _document(one: _Answer) -> dict[str, Any]:
    """Return the JSON of one image."""
    answer = one.result
    if isinstance(answer, ImageError):
        return {"image": str(one.path), "error": str(answer)}
    estimate = answer.estimate
    return {
        "image": str(one.path),
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
