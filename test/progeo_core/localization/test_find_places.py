import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.localization.find_places import find_places
from progeo_core.map.place_map import PlaceMap


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def line(tmp_path, fingerprint, make_places):
    """Return a map of 60 places about a metre apart, and what they look like."""
    random = np.random.default_rng(0)
    descriptors = unit(random.normal(size=(60, 8)) * 0.3 + 1.0)
    path = tmp_path / "line.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        place_map.append(make_places(60), descriptors)
    return path, descriptors


def test_places_are_ranked_by_cosine_and_distinct(line, unit_vectors):
    path, descriptors = line
    words = unit(descriptors[20] + 0.2 * unit_vectors(1)[0])
    with PlaceMap.open(path) as place_map:
        found = find_places(place_map, words, unit_vectors(59, seed=1), 60)
        position = np.stack([one.position for one in found.places])
    scores = [one.score for one in found.places]
    cosine = descriptors @ words
    assert found.places[0].place_id == 1 + int(cosine.argmax())
    assert found.places[0].image == f"{cosine.argmax()}.jpg"
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(cosine.max(), abs=2e-3)
    apart = np.linalg.norm(position[:, None] - position, axis=2)
    assert apart[~np.eye(len(position), dtype=bool)].min() > 3.0
    assert 10 <= len(position) < 20
    chances = [one.chance for one in found.places]
    assert chances == sorted(chances)


def test_what_stands_out_is_here_and_what_does_not_is_not(tmp_path, fingerprint, make_places):
    """Texts that are in no place are of the same law as those compared with."""
    random = np.random.default_rng(0)
    places = unit(random.normal(size=(200, 8)))
    places[7] = unit(np.array([3.0, -3, 3, -3, 3, -3, 3, -3]))
    others, absent = (unit(random.normal(size=(n, 8)) + 2.0) for n in (59, 60))
    with PlaceMap.create(tmp_path / "m.progeo", fingerprint) as place_map:
        place_map.append(make_places(200), places)
        found = find_places(place_map, places[7], others, 3)
        assert found.here
        assert found.places[0].place_id == 8
        wrong = sum(find_places(place_map, text, others, 1).here for text in absent)
    assert wrong / len(absent) < 0.15


def test_small_maps_are_never_sure(tmp_path, fingerprint, make_places, unit_vectors):
    with PlaceMap.create(tmp_path / "m.progeo", fingerprint) as place_map:
        with pytest.raises(DataError, match="holds no places"):
            find_places(place_map, unit_vectors(1)[0], unit_vectors(59), 5)
        place_map.append(make_places(1), unit_vectors(1))
        found = find_places(place_map, unit_vectors(1)[0], unit_vectors(59, seed=1), 5)
    assert not found.here
    assert [one.place_id for one in found.places] == [1]
