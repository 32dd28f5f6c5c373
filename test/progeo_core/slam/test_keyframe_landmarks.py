import numpy as np
import pytest

from progeo_core.map.place_features import PlaceView
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.slam import keyframe_landmarks
from progeo_core.slam.keyframe_landmarks import CompletedView, KeyframeLandmarks

# Of the places of the office, the last 14 are a walk whose images overlap.
ALONE = 4
SHIFT = np.array([3.0, 4.0, 0.0])


@pytest.fixture(scope="module")
def walk(office_map) -> list[PlaceView]:
    """Return the views of a walk, with landmarks by depth."""
    with PlaceMap.open(office_map) as place_map:
        return [view for view in place_map.views(place_map.ids()[ALONE:]) if view is not None]


def without_landmarks(view: PlaceView) -> PlaceView:
    assert view.features is not None
    return view._replace(features=view.features.without_landmarks())


def all_of(landmarks: KeyframeLandmarks, views: list[PlaceView]) -> list[CompletedView]:
    """Add views one by one, and return those that were completed on the way and at the end."""
    completed = [one for row, view in enumerate(views) for one in landmarks.add(row, view)]
    return completed + landmarks.finish()


@pytest.mark.slow
def test_a_walk_without_depth_is_triangulated_a_few_keyframes_later(walk) -> None:
    landmarks = KeyframeLandmarks()
    early = [one for row in range(4) for one in landmarks.add(row, without_landmarks(walk[row]))]
    assert early == []
    rest = [without_landmarks(view) for view in walk[4:]]
    completed = [one for row, view in enumerate(rest, 4) for one in landmarks.add(row, view)]
    assert max(one.place_id for one in completed) < len(walk) - 4
    completed += landmarks.finish()
    assert len({one.place_id for one in completed}) == len(completed) >= 12
    errors = []
    for place_id, view, triangulated, refused in completed:
        assert (triangulated, refused) == (True, "")
        truth, found = walk[place_id].features.landmarks, view.features.landmarks
        distance = np.linalg.norm(truth - view.pose.position, axis=1)
        errors += (np.linalg.norm(found - truth, axis=1) / distance).tolist()
    assert np.isfinite(errors).sum() > 500
    assert np.nanmedian(errors) < 0.08
    assert landmarks.finish() == []


def test_depth_stays_unless_the_keyframes_around_contradict_it(walk) -> None:
    assert all_of(KeyframeLandmarks(), walk) == []
    features = walk[6].features
    moved = walk[6]._replace(
        pose=CameraPose(walk[6].pose.position + SHIFT, walk[6].pose.orientation),
        features=features._replace(landmarks=features.landmarks + SHIFT),
    )
    (refused,) = all_of(KeyframeLandmarks(), [*walk[:6], moved, *walk[7:]])
    assert (refused.place_id, refused.triangulated) == (6, False)
    assert "1 places contradict each other by 5.0" in refused.refused
    assert not refused.view.features.has_landmark.any()


@pytest.mark.slow
def test_depth_of_another_size_is_refused_of_all_keyframes_as_soon_as_it_is_told(walk) -> None:
    wrong = []
    for view in walk:
        eye, features = view.pose.position, view.features
        landmarks = eye + 1.25 * (features.landmarks - eye)
        wrong.append(view._replace(features=features._replace(landmarks=landmarks)))
    landmarks = KeyframeLandmarks()
    early = [one for row in range(11) for one in landmarks.add(row, wrong[row])]
    assert [one.place_id for one in early] == [*range(7)]
    assert "times what the poses say" in early[0].refused
    late = [one for row in range(11, 14) for one in landmarks.add(row, wrong[row])]
    late += landmarks.finish()
    assert [one.place_id for one in late] == [*range(7, 14)]
    assert not any(one.view.features.has_landmark.any() for one in early + late)


def test_keyframes_of_unknown_cameras_are_left_alone(walk) -> None:
    flat = [without_landmarks(view) for view in walk]
    for lacking in ({"pose": None}, {"intrinsics": None}, {"features": None}):
        assert all_of(KeyframeLandmarks(), [view._replace(**lacking) for view in flat]) == []


@pytest.mark.slow
def test_memory_is_bounded(walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframe_landmarks, "_KEPT", 8)
    landmarks = KeyframeLandmarks()
    completed = all_of(landmarks, [without_landmarks(view) for view in walk])
    assert len(landmarks._kept) == 8
    assert len({one.place_id for one in completed}) == len(completed) >= 10
