import numpy as np
import pytest

from progeo_core.descriptors.standardization import Standardization
from progeo_core.localization import descriptor_cache
from progeo_core.localization.descriptor_cache import DescriptorCache
from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def many(tmp_path, fingerprint, make_places, unit_vectors):
    with PlaceMap.create(tmp_path / "many.progeo", fingerprint) as place_map:
        ids = place_map.append(make_places(50), unit_vectors(50))
        contrast = Standardization.of_descriptors(place_map.descriptors(ids))
        yield place_map, ids, contrast


@pytest.mark.parametrize("kept", [1, 7, 1024])
def test_views_are_the_same_however_few_are_kept(many, monkeypatch, kept):
    monkeypatch.setattr(descriptor_cache, "_CAPACITY", kept)
    place_map, ids, contrast = many
    expected = contrast.apply(place_map.descriptors(ids))
    views = DescriptorCache(place_map, ids, contrast)
    rng = np.random.default_rng(0)
    for _ in range(40):
        rows = rng.choice(50, size=rng.integers(1, 20), replace=False)
        np.testing.assert_array_equal(views.of_rows(rows), expected[rows])


def test_kept_views_are_not_read_again(many):
    place_map, ids, contrast = many
    views = DescriptorCache(place_map, ids, contrast)
    first = views.of_rows(np.arange(10))
    place_map.close()
    np.testing.assert_array_equal(views.of_rows(np.arange(5, 10)), first[5:])
