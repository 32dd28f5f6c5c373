import numpy as np

from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.verification.adjusted_views import PoseErrors
from progeo_core.verification.landmark_note import (
    LandmarkReport,
    is_unchecked,
    reason_for_none,
    refusals,
    say_done,
    say_unchecked,
)


def test_places_are_counted_by_the_reason_why_they_lost_their_points():
    assert refusals({}) == ()
    assert refusals({3: "this", 4: "that", 9: "that"}) == (
        "in 2 places, as that",
        "in 1 place, as this",
    )


def test_a_note_says_what_was_done_and_keeps_what_was_before(office_copy):
    with PlaceMap.open(office_copy, writable=True) as place_map:
        name = place_map.structure.extractor
        say_unchecked(place_map)
        say_unchecked(place_map)
        assert place_map.structure.source == "depth; not compared with each other yet"
        assert is_unchecked(place_map)
        lost = LandmarkReport(18, 16, (1, 2), "", ("in 2 places, as that",))
        say_done(place_map, lost, PoseErrors(0.05, 0.01))
        rough = "triangulated between known poses whose poses err by 0.050 m and 0.57°"
        said = StructureNote(name, f"depth; {rough}; refused in 2 places, as that", (0.05, 0.01))
        assert place_map.structure == said
        assert not is_unchecked(place_map)
        # Later places tell nothing of how wrong the earlier ones are.
        say_done(place_map, LandmarkReport(1, 1, (), ""), None)
        assert place_map.structure == StructureNote(name, f"depth; {rough}", (0.05, 0.01))
        say_done(place_map, LandmarkReport(18, 0, (), "no reason"), None)
        assert place_map.structure == StructureNote(name, "none: no reason")


def test_a_map_without_a_note_gets_none(office_copy):
    with PlaceMap.open(office_copy, writable=True) as place_map:
        place_map.set_structure(None)
        say_unchecked(place_map)
        say_done(place_map, LandmarkReport(18, 18, (), ""), PoseErrors(*np.ones(2)))
        assert place_map.structure is None
        assert not is_unchecked(place_map)


def test_a_map_says_that_camera_poses_were_looked_for_in_vain(office_copy):
    """Without poses nothing has points, and the user learns what was tried, or what to try."""
    with PlaceMap.open(office_copy, writable=True) as place_map:
        ids, name = place_map.ids(), place_map.structure.extractor
        views = place_map.views(ids)
        bare = [view and view.without_landmarks()._replace(pose=None) for view in views]
        place_map.set_views(ids, bare)
        place_map.set_structure(StructureNote(name, ""))
        table = place_map.view_table()
        reason = reason_for_none(place_map, table, [], {})
        assert reason.endswith("unknown ('progeo map structure' looks for it)")
        found = "camera poses of 0 of 18 places found between their positions (no proof)"
        place_map.set_structure(StructureNote(name, found))
        reason = reason_for_none(place_map, table, [], {})
        say_done(place_map, LandmarkReport(18, 0, (), reason), None)
        none = "none: the orientation of the camera is unknown"
        assert place_map.structure.source == f"{none}; {found}"
