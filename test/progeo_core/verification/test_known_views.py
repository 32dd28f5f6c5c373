import pytest

from progeo_core.map.place_map import PlaceMap
from progeo_core.verification import known_views
from progeo_core.verification.known_views import KnownViews


def test_views_are_read_once_and_the_ones_used_last_are_kept(office_copy, monkeypatch):
    monkeypatch.setattr(known_views, "_KEPT", 2)
    with PlaceMap.open(office_copy, writable=True) as place_map:
        ids = place_map.ids()
        place_map.set_views(ids[[2]], [None])
        views = KnownViews(place_map, ids)
        view, known = views.of(0)
        assert known.pose.position == pytest.approx(view.pose.position)
        assert views.known(2) is None
        place_map.set_views(ids[[0]], [None])
        # The first is in memory until two others were asked for.
        assert views.known(0) is known
        views.of(1)
        assert views.known(0) is known
        views.of(2)
        views.of(1)
        assert views.known(0) is None
