from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.place_checks import check_views, checked_vectors
from test.place_views import make_view

MAP = Path("site.progeo")


def test_sound_places_become_vectors_of_16_bits(fingerprint, make_places, unit_vectors):
    places = make_places(3)._replace(views=[None] * 3)
    vectors = checked_vectors(MAP, places, unit_vectors(3), fingerprint, fingerprint.dimension)
    np.testing.assert_array_equal(vectors, unit_vectors(3).astype(np.float16))


@pytest.mark.parametrize(
    ("columns", "dimension", "message"),
    [
        ({"camera": ["front"]}, 8, "columns of unequal length"),
        ({"views": [None]}, 8, "columns of unequal length"),
        ({}, 5, "gives 8 values each"),
        ({"position": np.full((3, 3), np.nan)}, 8, r"the position of 0\.jpg is not finite"),
        ({"yaw_rad": np.array([0.0, np.inf, 0.0])}, 8, r"the yaw of 1\.jpg is not finite"),
    ],
)
def test_places_that_make_no_sense_are_named(
    fingerprint, make_places, unit_vectors, columns, dimension, message
):
    places = make_places(3)._replace(**({"views": [None] * 3} | columns))
    vectors = unit_vectors(3, dimension=dimension)
    with pytest.raises(DataError, match=rf"site\.progeo: .*{message}"):
        checked_vectors(MAP, places, vectors, fingerprint, fingerprint.dimension)


def test_views_that_make_no_sense_are_named():
    view = make_view(np.zeros(3))
    check_views(MAP, [view, None], ["a", "b"])
    far = view._replace(pose=view.pose._replace(position=np.full(3, 1e12)))
    with pytest.raises(DataError, match=r"site\.progeo: b: the pose of its camera is not finite"):
        check_views(MAP, [None, far], ["a", "b"])
