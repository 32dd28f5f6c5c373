"""Maps that the tests of landmarks change."""

import shutil
from pathlib import Path

import pytest

from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def office_copy(office_map: Path, tmp_path: Path) -> Path:
    """Return a copy of the map of the office, whose landmarks are by depth."""
    return Path(shutil.copy(office_map, tmp_path / "copy.progeo"))


@pytest.fixture
def flat_office(office_copy: Path) -> Path:
    """Return a map of the office with features, calibration and poses, and no landmarks."""
    with PlaceMap.open(office_copy, writable=True) as place_map:
        ids, note = place_map.ids(), place_map.structure
        views = [
            view._replace(features=view.features.without_landmarks())
            for view in place_map.views(ids)
        ]
        place_map.set_views(ids, views)
        place_map.set_structure(note._replace(source=""))
    return office_copy
