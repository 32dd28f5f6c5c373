import cv2
import numpy as np
import pytest

from progeo_core.images.codec import Image, read_image
from progeo_core.records.records import read_records
from progeo_core.verification.local_features import find_features, mutual_matches


@pytest.fixture(scope="module")
def image(campus_loop) -> Image:
    return read_image(read_records(campus_loop / "records.csv").images[20])


def test_features_are_unit_vectors_at_points_of_the_small_image(image: Image) -> None:
    features = find_features(image)
    assert max(features.size) == 240
    assert 100 < len(features.points) <= 320
    assert (features.points >= 0).all()
    assert (features.points <= features.size).all()
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1.0, atol=1e-3)


def test_points_follow_a_shifted_image(image: Image) -> None:
    shift = np.array([12.0, 8.0])
    matrix = np.array([[1, 0, 2 * shift[0]], [0, 1, 2 * shift[1]]], np.float32)
    large = np.asarray(cv2.resize(image, (480, 270), interpolation=cv2.INTER_CUBIC), np.uint8)
    moved = np.asarray(
        cv2.warpAffine(large, matrix, (480, 270), borderMode=cv2.BORDER_REFLECT), np.uint8
    )
    first, second = find_features(large), find_features(moved)
    rows, columns = mutual_matches(first, second)
    assert len(rows) > 30
    offset = second.points[columns] - first.points[rows]
    right = np.linalg.norm(offset - shift, axis=1) < 1.5
    assert right.mean() > 0.8


def test_matches_are_mutual_and_one_to_one(image: Image) -> None:
    features = find_features(image)
    other = find_features(np.ascontiguousarray(image[:, ::-1]))
    forward, backward = mutual_matches(features, other), mutual_matches(other, features)
    assert len(set(forward[0])) == len(set(forward[1])) == len(forward[0])
    # The ratio test is of the first image only, so the ways differ by that alone.
    pairs = set(zip(*forward, strict=True)), set(zip(*backward[::-1], strict=True))
    assert len(pairs[0] & pairs[1]) >= 0.7 * min(map(len, pairs))


def test_an_ambiguous_feature_has_no_match(image: Image) -> None:
    features = find_features(image)
    twice = features._replace(
        points=np.concatenate([features.points] * 2),
        descriptors=np.concatenate([features.descriptors] * 2),
    )
    noise = np.random.default_rng(0).normal(0.0, 0.01, features.descriptors.shape)
    noisy = (features.descriptors + noise).astype(np.float32)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    query = features._replace(descriptors=noisy)
    assert len(mutual_matches(query, features)[0]) > 0.9 * len(features.points)
    assert len(mutual_matches(query, twice)[0]) == 0


def test_an_image_without_structure_has_no_features(image: Image) -> None:
    blank = find_features(np.full((90, 120, 3), 7, np.uint8))
    assert len(blank.points) == len(blank.descriptors) == 0
    for one, two in ((blank, find_features(image)), (find_features(image), blank)):
        assert [len(rows) for rows in mutual_matches(one, two)] == [0, 0]
