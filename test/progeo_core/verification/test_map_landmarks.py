import numpy as np
import pytest

from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification import map_landmarks
from progeo_core.verification.map_landmarks import add_landmarks
from test.map_content import content_of

# Of the 18 places of the office, the last 14 are a walk whose images overlap.
ALONE = 4
SHIFT = np.array([3.0, 4.0, 0.0])


def landmarks_of(place_map):
    return [int(view.features.has_landmark.sum()) for view in place_map.views(place_map.ids())]


def replaced(place_map, ids, change):
    """Change the views of places."""
    place_map.set_views(ids, [change(view) for view in place_map.views(ids)])


def displaced(view):
    pose = CameraPose(view.pose.position + SHIFT, view.pose.orientation)
    features = view.features
    return view._replace(
        pose=pose, features=features._replace(landmarks=features.landmarks + SHIFT)
    )


@pytest.mark.slow
def test_a_walk_gets_landmarks_and_the_map_says_how(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        steps: list[int] = []
        report = add_landmarks(place_map, advance=steps.append)
        assert sum(steps) == len(place_map) == 18
        counts = landmarks_of(place_map)
        assert report == (18, int(np.count_nonzero(counts)), (), "", ())
        assert counts[:ALONE] == [0] * ALONE
        assert min(counts[ALONE:]) > 20
        assert place_map.structure.source == "triangulated between known poses"
        # What was left without landmarks is tried again, and nothing else changes.
        before = content_of(place_map)
        assert add_landmarks(place_map).places == ALONE
        assert content_of(place_map) == before
        place_map.verify()


@pytest.mark.slow
def test_of_more_features_the_surest_are_kept(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        add_landmarks(place_map, features=100)
        for view in place_map.views(place_map.ids()):
            features = view.features
            assert len(features.points) == 100
            count = features.has_landmark.sum()
            assert features.has_landmark[:count].all()
        place_map.verify()


@pytest.mark.slow
def test_a_kill_loses_one_block_and_the_next_run_goes_on(flat_office, monkeypatch):
    monkeypatch.setattr(map_landmarks, "_BLOCK", 5)

    done: list[int] = []

    def stop(count):
        done.append(count)
        if sum(done) > 7:
            raise KeyboardInterrupt

    with PlaceMap.open(flat_office, writable=True) as place_map:
        with pytest.raises(KeyboardInterrupt):
            add_landmarks(place_map, advance=stop)
        assert np.count_nonzero(landmarks_of(place_map)) == 10 - ALONE
        assert place_map.structure.source == "not compared with each other yet"
        # What has landmarks already was not compared, and is now.
        report = add_landmarks(place_map)
        assert (report.places, report.with_landmarks) == (18, 14)
        assert place_map.structure.source == "triangulated between known poses"
        assert np.count_nonzero(landmarks_of(place_map)) == 14


@pytest.mark.slow
def test_a_place_that_was_moved_is_refused_and_the_rest_stands(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        lost = place_map.ids()[9]
        replaced(place_map, [lost], displaced)
        add_landmarks(place_map)
        counts = landmarks_of(place_map)
        assert counts[9] < 5
        assert np.count_nonzero(np.array(counts) > 20) >= 11


def test_depth_that_other_images_contradict_is_refused(office_copy):
    with PlaceMap.open(office_copy, writable=True) as place_map:
        lost, ids = int(place_map.ids()[9]), place_map.ids()
        before = landmarks_of(place_map)
        replaced(place_map, [lost], displaced)
        report = add_landmarks(place_map, ids)
        assert report[:4] == (18, 17, (lost,), "")
        (why,) = report.refusals
        assert why == "in 1 place, as groups of 13 and 1 places contradict each other by 5.00 m"
        after = landmarks_of(place_map)
        assert after[9] == 0
        assert after[:9] + after[10:] == before[:9] + before[10:]
        assert place_map.structure.source == f"depth; refused {why}"
        # Places that are not new are left alone.
        assert add_landmarks(place_map, ids[:3]).places == 4


def test_depth_in_half_millimetres_is_refused_everywhere(office_copy):
    def halved(view):
        eye, features = view.pose.position, view.features
        landmarks = eye + (features.landmarks - eye) / 2.0
        return view._replace(features=features._replace(landmarks=landmarks))

    with PlaceMap.open(office_copy, writable=True) as place_map:
        ids = place_map.ids()
        replaced(place_map, ids, halved)
        report = add_landmarks(place_map, ids)
        assert report.contradicting == tuple(ids.tolist())
        assert report.reason == "depth is 0.49 times what the poses say"
        assert landmarks_of(place_map) == [0] * 18
        assert place_map.structure.source == f"none: {report.reason}"


@pytest.mark.slow
def test_places_that_were_moved_together_lose_what_is_triangulated_between_them(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        moved = place_map.ids()[15:]
        replaced(place_map, moved, displaced)
        report = add_landmarks(place_map)
        counts = np.array(landmarks_of(place_map))
        assert not counts[15:].any()
        assert np.count_nonzero(counts > 20) == report.with_landmarks >= 10


def test_what_stood_is_not_lost_for_what_is_new(office_copy):
    with PlaceMap.open(office_copy, writable=True) as place_map:
        new = place_map.ids()[11:]
        replaced(place_map, new, displaced)
        report = add_landmarks(place_map, new)
        # Together, neither of the groups is clearly larger.
        assert report.refusals == (
            "in 7 places, as groups of 11 and 7 places contradict each other by 5.01 m",
        )
        assert report.contradicting == tuple(new.tolist())
        assert np.count_nonzero(landmarks_of(place_map)) == 11


def test_a_map_without_landmarks_says_why(flat_office):
    def why():
        report = add_landmarks(place_map)
        assert place_map.structure.source == f"none: {report.reason}"
        assert not np.count_nonzero(landmarks_of(place_map))
        return report.reason

    with PlaceMap.open(flat_office, writable=True) as place_map:
        ids = place_map.ids()
        views = place_map.views(ids)
        for change, reason in (
            ({"intrinsics": None}, "the calibration of the camera is unknown"),
            (
                {"pose": None},
                "the orientation of the camera is unknown ('progeo map structure' looks for it)",
            ),
        ):
            place_map.set_views(ids, [view._replace(**change) for view in views])
            assert why() == reason
        place_map.set_views(ids[:ALONE], views[:ALONE])
        place_map.delete(ids[ALONE:])
        assert why() == "too few places overlap and were seen from points apart"


def test_poses_of_another_frame_are_named(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        turned = np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)])
        replaced(
            place_map,
            place_map.ids(),
            lambda view: view._replace(pose=CameraPose(view.pose.position, turned)),
        )
        report = add_landmarks(place_map)
        assert report.with_landmarks == 0
        assert "contradict" in report.reason


def test_a_map_without_features_has_nothing_to_add(flat_office):
    with PlaceMap.open(flat_office, writable=True) as place_map:
        place_map.set_views(place_map.ids(), [None] * len(place_map))
        place_map.set_structure(StructureNote("xfeat", ""))
        assert add_landmarks(place_map) == (0, 0, (), "no place has local features", ())
