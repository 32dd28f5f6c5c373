import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import LONGEST_SIDE, FeatureExtractor, shared_extractor
from progeo_core.verification.feature_matching import mutual_matches


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("cpu")


@pytest.fixture(scope="module")
def image(office):
    return read_image(office / "images" / "0355.jpg")


def test_the_best_features_have_unit_descriptors_inside_the_image(extractor, image):
    (found,) = extractor.find([image], 300)
    assert found.points.shape == (300, 2)
    assert found.size == (540, 360)
    assert (found.points >= 0.0).all()
    assert (found.points <= [539.0, 359.0]).all()
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1.0, atol=1e-5)


def test_a_batch_finds_what_single_images_do(extractor, image):
    small = np.ascontiguousarray(image[:320, :480])
    together = extractor.find([image, small, image[:, ::-1]], 200)
    for one, alone in zip(together, [image, small, image[:, ::-1]], strict=True):
        (by_itself,) = extractor.find([alone], 200)
        np.testing.assert_allclose(one.points, by_itself.points, atol=0.05)


def test_features_follow_a_shift_by_less_than_a_pixel(extractor, image):
    shifted = np.roll(image, (8, 16), axis=(0, 1))
    first, second = extractor.find([image, shifted], 400)
    found = mutual_matches(first.descriptors, second.descriptors)
    moved = second.points[found.second] - first.points[found.first]
    assert len(found.first) > 200
    np.testing.assert_allclose(np.median(moved, axis=0), [16.0, 8.0], atol=0.2)


def test_points_of_a_large_image_are_its_own_pixels(extractor, image):
    large = image.repeat(3, axis=0).repeat(3, axis=1)
    first, second = extractor.find([image, large], 300)
    assert max(second.size) > LONGEST_SIDE
    found = mutual_matches(first.descriptors, second.descriptors)
    expected = 3.0 * first.points[found.first] + 1.0
    distance = np.linalg.norm(second.points[found.second] - expected, axis=1)
    assert np.median(distance) < 3.0


@pytest.mark.parametrize("shape", [(360, 540), (1, 1), (33, 2000)])
def test_an_image_without_texture_has_few_features(extractor, shape):
    (found,) = extractor.find([np.full((*shape, 3), 90, np.uint8)])
    assert len(found.points) == len(found.descriptors) < 20


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_features_are_the_same_in_every_runtime(extractor, image, runtime):
    images = [image, image[::-1]]
    other = FeatureExtractor("cpu", runtime)
    assert other.name == extractor.name
    for one, another in zip(extractor.find(images), other.find(images), strict=True):
        same = mutual_matches(one.descriptors, another.descriptors, 0.9999)
        assert len(same.first) > 1015
        np.testing.assert_allclose(one.points[same.first], another.points[same.second], atol=0.02)


def test_one_extractor_serves_a_runtime_and_each_runtime_has_its_own():
    runs_in = {name: type(shared_extractor("cpu", name)._network) for name in ("torch", "onnx")}
    assert len(set(runs_in.values())) == 2
    for name in runs_in:
        assert shared_extractor("cpu", name) is shared_extractor("cpu", name)
    assert shared_extractor("cpu", "tensorrt") is shared_extractor("cpu")


def test_the_network_loads_when_it_is_needed_or_asked_for():
    with pytest.raises(UsageError, match="device 'here' cannot be used"):
        FeatureExtractor("here")
    lazy = FeatureExtractor("cpu", "quantum")
    with pytest.raises(UsageError, match="'quantum'"):
        lazy.load()
    ready = FeatureExtractor("cpu")
    assert "_network" not in vars(ready)
    ready.load()
    assert "_network" in vars(ready)


def test_the_name_tells_the_weights(extractor):
    assert extractor.name.startswith("xfeat-")


def test_features_that_are_kept_are_found_again_only_for_another_image_or_size(
    extractor, corridor, monkeypatch
):
    image, other = (read_image(corridor / "query" / f"000000{row}.jpg").copy() for row in (0, 1))
    (kept,) = extractor.find([image])
    calls = []
    run = extractor._network.keypoints

    def counted(pixels, count):
        calls.append(len(pixels))
        return run(pixels, count)

    monkeypatch.setattr(extractor._network, "keypoints", counted)
    (few,) = extractor.find([image], 100)
    np.testing.assert_array_equal(few.points, kept.points[:100])
    assert not calls
    extractor.find([image, other], 100)
    extractor.find([image], 100, side=320)
    assert len(calls) == 2
    image[:] = other  # a camera's buffer that is used again
    (anew,) = extractor.find([image])
    np.testing.assert_array_equal(anew.points, extractor.find([other])[0].points)
    held = len(extractor._kept)
    del image
    assert len(extractor._kept) == held - 1
