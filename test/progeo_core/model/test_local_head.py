import numpy as np
import pytest
from scipy.linalg import hadamard

from progeo_core.errors import ModelMismatchError
from progeo_core.model.local_head import LOCAL, LocalHead, vlad


def unit_rows(count: int, values: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, values)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_vlad_is_what_the_paper_sums_up_word_by_word() -> None:
    features, words = unit_rows(50, 8, 0), unit_rows(4, 8, 1)
    sums = np.zeros((4, 8))
    for feature in features:
        word = int(np.argmin(np.linalg.norm(words - feature, axis=1)))
        sums[word] += feature - words[word]
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    rooted = (np.sign(sums) * np.sqrt(np.abs(sums))).ravel()
    np.testing.assert_allclose(vlad(features, words), rooted / np.linalg.norm(rooted), atol=1e-5)


def test_an_image_without_features_is_described_by_the_network_alone() -> None:
    words = unit_rows(3, 8, 1)
    assert not vlad(np.zeros((0, 8), np.float32), words).any()
    rng = np.random.default_rng(2)
    network, local = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 5), (4, 24)))
    offset, weight = np.full(4, 0.1, np.float32), np.array([2.0], np.float32)
    head = LocalHead(words, network, offset, weight, local, 0.0 * offset)
    described = unit_rows(2, 5, 3)
    features = np.zeros((0, 8), np.float32), unit_rows(9, 8, 4)
    joined = np.stack([head.join(*image) for image in zip(described, features, strict=True)])
    assert head.dimension == 8
    np.testing.assert_allclose(np.linalg.norm(joined, axis=1), 1.0, atol=1e-5)
    # Sylvester's matrix is its own inverse but for the length.
    parts = joined @ hadamard(8) / np.sqrt(8)
    expected = network @ described[0] + 0.1
    np.testing.assert_allclose(parts[0, :4], expected / np.linalg.norm(expected), atol=1e-5)
    assert not parts[0, 4:].round(5).any()
    np.testing.assert_allclose(np.linalg.norm(parts[1, :4]), 2.0 / np.sqrt(5.0), atol=1e-5)


def test_weights_that_are_missing_or_of_other_sizes_are_refused_by_the_file() -> None:
    shapes = {"words": (3, 8), "network_projection": (2, 5), "network_offset": (2,)}
    shapes |= {"network_weight": (1,), "local_projection": (6, 24), "local_offset": (6,)}
    weights = {LOCAL + name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert LocalHead.of_weights(weights, "a file").words.shape == (3, 8)
    with pytest.raises(ModelMismatchError, match=r"a file: .*do not fit"):
        LocalHead.of_weights({**weights, f"{LOCAL}local_offset": np.zeros(5, np.float32)}, "a file")
    del weights[f"{LOCAL}words"]
    with pytest.raises(ModelMismatchError, match=r"lacks its weight 'local\.words'"):
        LocalHead.of_weights(weights, "a file")
