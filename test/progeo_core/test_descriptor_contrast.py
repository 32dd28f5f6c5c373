import numpy as np

from progeo_core.descriptor_contrast import DescriptorContrast


def crowded(count=50, seed=0):
    """Descriptors of one building: much alike, with small differences of their own."""
    rng = np.random.default_rng(seed)
    vectors = 1.0 + 0.1 * rng.normal(size=(count, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_crowded_descriptors_become_unlike_each_other():
    descriptors = crowded()
    views = DescriptorContrast.of_descriptors(descriptors).apply(descriptors)
    others = ~np.eye(len(views), dtype=bool)
    assert (descriptors @ descriptors.T)[others].min() > 0.95
    assert abs((views @ views.T)[others].mean()) < 0.05


def test_images_foreign_to_the_map_are_less_alike_than_their_direction_says():
    descriptors = crowded()
    contrast = DescriptorContrast.of_descriptors(descriptors)
    foreign = descriptors[0] + 2.0 * (descriptors[0] - contrast.mean)
    own, far = contrast.apply(np.stack([descriptors[0], foreign]))
    assert np.linalg.norm(own) > 0.8
    assert np.linalg.norm(far) < 0.5


def test_map_of_one_place_or_of_equal_images_is_finite_and_alike_to_nothing():
    for descriptors in (crowded(1), np.repeat(crowded(1), 5, axis=0)):
        views = DescriptorContrast.of_descriptors(descriptors).apply(descriptors)
        assert np.isfinite(views).all()
        assert np.abs(views @ views.T).max() < 0.1
