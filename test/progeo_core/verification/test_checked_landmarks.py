import numpy as np

from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.checked_landmarks import refuse_contradicted

SHIFT = np.array([3.0, 4.0, 0.0])


def test_three_places_that_were_moved_lose_their_landmarks_and_no_others(office_copy):
    with PlaceMap.open(office_copy, writable=True) as place_map:
        ids = place_map.ids()
        for place_id, view in zip(ids[8:11], place_map.views(ids[8:11]), strict=True):
            features = view.features._replace(landmarks=view.features.landmarks + SHIFT)
            pose = CameraPose(view.pose.position + SHIFT, view.pose.orientation)
            place_map.set_views([place_id], [view._replace(pose=pose, features=features)])
        table = place_map.view_table()
        done: list[int] = []
        refused = refuse_contradicted(place_map, table, np.arange(18), done.append)
        assert done == [*range(18)]
        said = "groups of 11 and 3 places contradict each other by 5.00 m"
        assert refused == dict.fromkeys(ids[8:11].tolist(), said)
        lost = np.setdiff1d(ids[table.landmarks > 0], ids[place_map.view_table().landmarks > 0])
        assert lost.tolist() == [*refused]
        place_map.verify()


def test_nothing_is_asked_of_no_places(office_copy):
    with PlaceMap.open(office_copy) as place_map:
        assert refuse_contradicted(place_map, place_map.view_table(), np.arange(0), print) == {}
