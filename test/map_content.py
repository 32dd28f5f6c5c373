"""All that a reader can see of a map, to compare before and after its file was harmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from progeo_core.errors import DataError
from progeo_core.map.place_features import PlaceView
from progeo_core.map.place_map import PlaceMap


def content_of(place_map: PlaceMap) -> tuple[Any, ...]:
    """Read a map in every way that its users do; equal for equal content, bit for bit."""
    table, poses, ids = place_map.places(), place_map.poses(), place_map.ids()
    backwards = table.ids[::-1]
    return (
        place_map.fingerprint,
        place_map.fingerprint.name,
        place_map.datum,
        place_map.revision,
        place_map.calibration(),
        place_map.has_several_cameras(),
        len(place_map),
        *(array.tobytes() for array in (*table[:4], *poses, ids)),
        *table[4:],
        place_map.descriptors().tobytes(),
        place_map.descriptors(backwards).tobytes(),
        place_map.newest_descriptors(3)[1].tobytes(),
        tuple(place_map.images(backwards.tolist())),
        tuple(place_map.thumbnail(place_id) for place_id in ids),
        place_map.structure,
        place_map.has_views,
        tuple(_content_of_view(view) for view in place_map.views(ids)),
    )


def _content_of_view(view: PlaceView | None) -> tuple[Any, ...] | None:
    if view is None:
        return None
    pose, intrinsics, features = view
    return (
        None if pose is None else (pose.position.tobytes(), pose.orientation.tobytes()),
        intrinsics,
        features and (*(column.tobytes() for column in features[:4]), features.size),
    )


def read_content(path: Path) -> tuple[Any, ...]:
    """Open a map and read it in every way."""
    with PlaceMap.open(path) as place_map:
        return content_of(place_map)


def check(path: Path) -> None:
    """Do what `progeo map info --check` does."""
    with PlaceMap.open(path) as place_map:
        place_map.verify()


def assert_damaged(path: Path, message: str) -> None:
    """Assert that reading a map and checking it both fail, with an error that names the file."""
    for act in (read_content, check):
        with pytest.raises(DataError) as raised:
            act(path)
        assert str(path) in str(raised.value)
        assert message in str(raised.value)
