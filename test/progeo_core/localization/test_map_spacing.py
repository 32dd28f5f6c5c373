import numpy as np
import pytest

from progeo_core.descriptors.standardization import Standardization
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.map.place_map import PlaceMap


def scale_of(tmp_path, fingerprint, places, vectors):
    with PlaceMap.create(tmp_path / "scale.progeo", fingerprint) as place_map:
        ids = place_map.append(places, vectors)
        contrast = Standardization.of_descriptors(place_map.descriptors(ids))
        return measure_spacing(place_map.poses(), place_map, contrast)


def test_spacing_is_the_median_distance_to_the_nearest_place_elsewhere(
    tmp_path, fingerprint, make_places, unit_vectors
):
    x_m = np.array([0.0, 0.0, 3.0, 6.0, 9.0, 500.0])
    position = np.stack([x_m, 0.0 * x_m, 0.0 * x_m], axis=-1)
    scale = scale_of(tmp_path, fingerprint, make_places(6, position), unit_vectors(6))
    assert scale.spacing_m == pytest.approx(3.0)


def test_what_differs_by_rounding_is_in_the_same_spot(
    tmp_path, fingerprint, make_places, unit_vectors
):
    position = np.stack([[0.0, 1e-9, 3.0, 3.0 + 1e-9, 6.0, 6.0 + 1e-9]] * 3, axis=-1)
    scale = scale_of(tmp_path, fingerprint, make_places(6, position), unit_vectors(6))
    assert scale.spacing_m == pytest.approx(np.sqrt(27.0))


def test_neighbours_that_look_alike_are_measured_so(tmp_path, fingerprint, make_places):
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.normal(size=(200, 8)), axis=0)
    walk = (steps / np.linalg.norm(steps, axis=1, keepdims=True)).astype(np.float32)
    near = scale_of(tmp_path, fingerprint, make_places(200), walk).neighbour_similarity
    assert near > 0.7


def test_places_in_one_spot_have_no_spacing(tmp_path, fingerprint, make_places, unit_vectors):
    scale = scale_of(tmp_path, fingerprint, make_places(4, np.zeros((4, 3))), unit_vectors(4))
    assert scale == (0.0, 0.0)
