import numpy as np

from progeo_core.verification.nearby_matching import matches_nearby

AXES = np.eye(4, 64, dtype=np.float32)


def test_of_those_nearby_the_most_similar_match():
    place = np.stack([AXES[0], AXES[0] + 0.2 * AXES[1], AXES[1], AXES[2]])
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    of_query = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [9.0, 9.0]])
    # The first is the most similar, but elsewhere; the third is behind the camera.
    of_place = np.array([[3.0, 0.0], [0.1, 0.0], [np.nan, 0.0], [5.0, 0.2]])
    found = matches_nearby(AXES, place, (of_query, of_place), 0.5)
    assert sorted(zip(*found, strict=True)) == [(0, 1), (2, 3)]


def test_nearby_matches_are_those_of_all_pairs_that_are_near():
    generator = np.random.default_rng(3)
    first, second = (generator.normal(size=(n, 8)).astype(np.float32) for n in (300, 200))
    first, second = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second))
    of_first, of_second = generator.uniform(size=(300, 2)), generator.uniform(size=(200, 2))
    near = np.linalg.norm(of_first[:, None] - of_second, axis=-1) < 0.2
    cosine = np.where(near, first @ second.T, -1.0)
    mutual = (cosine == cosine.max(axis=0)) & (cosine == cosine.max(axis=1, keepdims=True))
    found = matches_nearby(first, second, (of_first, of_second), 0.2, min_cosine=0.5)
    expected = np.nonzero(mutual & (cosine >= 0.5))
    assert sorted(zip(*found, strict=True)) == [*zip(*expected, strict=True)]
    assert len(found.first) > 50


def test_every_image_is_matched_by_itself():
    images = np.stack([AXES[0], AXES[0] + 0.2 * AXES[1], AXES[1]])
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    here = np.zeros((4, 2)), np.zeros((3, 2))
    found = matches_nearby(AXES, images, here, 0.5, np.array([0, 1, 1]))
    assert sorted(zip(*found, strict=True)) == [(0, 0), (0, 1), (1, 2)]


def test_no_features_have_none_nearby():
    nothing = np.empty((0, 64), np.float32)
    positions = np.empty((0, 2)), np.zeros((4, 2))
    assert not len(matches_nearby(nothing, AXES, positions, 1.0).first)
    assert not len(matches_nearby(AXES, nothing, positions[::-1], 1.0).second)
    assert not len(matches_nearby(AXES, AXES, (positions[1], positions[1] + 9.0), 1.0).second)
