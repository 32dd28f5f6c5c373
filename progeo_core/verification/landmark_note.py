"""What a map says of its 3-D points: how they came, and why places have none."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from progeo_core.errors import counted
from progeo_core.map.place_features import StructureNote, joined_structure, rough_poses
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.view_rows import ViewTable
from progeo_core.verification.adjusted_views import PoseErrors
from progeo_core.verification.known_view import MIN_AGREEMENT

# The part of a map's note that says how landmarks came.
TRIANGULATED = "triangulated between known poses"
# How the part of a map's note begins that says for how many places a camera pose was found.
POSES_FOUND = "camera poses of "
# How the parts of a map's note begin that say what was done here.
_SAID = _NONE, _REFUSED, _UNCHECKED = "none", "refused", "not compared with each other yet"
_NONE_POSED = f"{POSES_FOUND}0 of "


class LandmarkReport(NamedTuple):
    """Places that were looked at, and those of them with 3-D points now.

    contradicting: ids of places without points because the images of others contradict them.
    reason: why no place of the map has any points, "" where some have. refusals: how many places
    lost their points for which reason, in words.
    """

    places: int
    with_landmarks: int
    contradicting: tuple[int, ...]
    reason: str
    refusals: tuple[str, ...] = ()


def refusals(refused: Mapping[int, str]) -> tuple[str, ...]:
    """Return how many places lost their points for which reason; refused: the reason of each."""
    counts = collections.Counter(refused.values()).most_common()
    return tuple(f"in {counted(count, 'place')}, as {reason}" for reason, count in counts)


def is_unchecked(place_map: PlaceMap) -> bool:
    """Whether a run that was to compare places with each other came to no end."""
    note = place_map.structure
    return note is not None and _UNCHECKED in note.source.split("; ")


def say_unchecked(place_map: PlaceMap) -> None:
    """Say in a map that its places are yet to be compared with each other."""
    note = place_map.structure
    if note is not None and not is_unchecked(place_map):
        place_map.set_structure(_with_parts(note, [*note.source.split("; "), _UNCHECKED]))


def say_done(place_map: PlaceMap, report: LandmarkReport, errors: PoseErrors | None) -> None:
    """Say in a map what was done, in the place of what was said before.

    errors: of the poses of places that were triangulated, None where none was.
    """
    note = place_map.structure
    if note is None:
        return
    before = note.source.split("; ")
    parts = [one for one in before if not one.startswith((*_SAID, _NONE_POSED))]
    done = _with_parts(note, parts)
    if errors is not None:
        done = joined_structure(done, rough_poses(note.extractor, TRIANGULATED, *errors))
    done = _with_parts(done, [done.source, *(f"{_REFUSED} {one}" for one in report.refusals)])
    if report.reason:
        poses = [one for one in before if one.startswith(POSES_FOUND)]
        none = StructureNote(note.extractor, "")
        done = _with_parts(none, [f"{_NONE}: {report.reason}", *poses])
    if done != note:
        place_map.set_structure(done)


def _with_parts(note: StructureNote, parts: list[str]) -> StructureNote:
    return note._replace(source="; ".join(dict.fromkeys(filter(None, parts))))


def reason_for_none(
    place_map: PlaceMap, usable: ViewTable, agreements: list[float], refused: Mapping[int, str]
) -> str:
    """Return why no place of a map has 3-D points, "" where some have.

    usable: of the places that can have. agreements: with their poses, of the images of each.
    refused: the reason of each that lost its points.
    """
    table = place_map.view_table()
    known = [one for one in agreements if np.isfinite(one)]
    reasons = (
        (table.landmarks.any(), ""),
        (not table.features.any(), "no place has local features"),
        (not table.calibrated.any(), "the calibration of the camera is unknown"),
        (
            ~np.isfinite(table.orientation).any(),
            "the orientation of the camera is unknown" + _hint(place_map),
        ),
        (not len(usable.ids), "no place has features, a calibration and a full pose"),
        (
            known and np.median(known) < MIN_AGREEMENT,
            "images contradict the poses and the calibration (poses of another frame than the"
            " camera's, or rectified images with the calibration of raw ones)",
        ),
        (refused, "; ".join(dict.fromkeys(refused.values()))),
        (True, "too few places overlap and were seen from points apart"),
    )
    return next(reason for applies, reason in reasons if applies)


def _hint(place_map: PlaceMap) -> str:
    """Return what may find the orientations of a map without any, "" where that was tried."""
    note = place_map.structure
    tried = note is not None and any(one.startswith(POSES_FOUND) for one in note.source.split("; "))
    return "" if tried else " ('progeo map structure' looks for it)"
