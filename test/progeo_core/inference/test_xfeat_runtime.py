import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.runtime import REFERENCE, Variant
from progeo_core.inference.runtime_trial import agreement, trial_images
from progeo_core.inference.xfeat_runtime import XFeatWorkbench, choose_xfeat

CPU = torch.device("cpu")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    bench = XFeatWorkbench(CPU, tmp_path_factory.mktemp("export") / "xfeat.onnx")
    return bench.build(REFERENCE), bench.build(Variant("onnx", "float32"))


@pytest.mark.parametrize(("height", "width"), [(352, 512), (64, 320), (32, 32)])
def test_maps_are_the_same_in_every_runtime_and_size(office, networks, height, width):
    image = np.ascontiguousarray(read_image(office / "images" / "0355.jpg")[:height, :width])
    by_torch, by_onnx = (network.maps(image) for network in networks)
    for first, second in zip(by_torch, by_onnx, strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


def test_answers_tell_a_damaged_network(networks, tmp_path):
    bench = XFeatWorkbench(CPU, tmp_path / "xfeat.onnx")
    images = trial_images()[:2]
    by_torch, by_onnx = networks
    expected = bench.answers(by_torch, images)

    def without_peaks(image):
        features, heat, reliability = by_torch.maps(image)
        return [features, 0.0 * heat, reliability]

    def reversed_descriptors(images, count):
        signs = np.repeat(np.array([1, -1], np.float32), [2, 64])
        return [signs * rows for rows in by_torch.keypoints(images, count)]

    assert agreement(bench.answers(by_onnx, images), expected) > 0.999
    damaged = SimpleNamespace(maps=without_peaks, keypoints=by_torch.keypoints)
    assert not agreement(bench.answers(damaged, images), expected) > 0.999
    damaged = SimpleNamespace(maps=by_torch.maps, keypoints=reversed_descriptors)
    assert not agreement(bench.answers(damaged, images), expected) > 0.999


@pytest.mark.slow
def test_a_trial_is_made_once_and_the_export_lies_beside_those_of_encoders(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caplog.set_level(logging.INFO, "progeo_core.inference")
    choose_xfeat(CPU)
    assert "XFeat: " in caplog.text
    assert "is used from now on" in caplog.text
    assert "bfloat16" not in caplog.text
    assert sorted(path.suffix for path in (tmp_path / "progeo").iterdir()) == [".json", ".onnx"]
    caplog.clear()
    choose_xfeat(CPU)
    assert not caplog.records


@pytest.mark.parametrize(
    ("runtime", "said"), [("fast", "'fast' is not known"), ("tensorrt", "cannot use device 'cpu'")]
)
def test_a_runtime_that_cannot_be_used_is_refused(runtime, said):
    with pytest.raises(UsageError, match=said):
        choose_xfeat(CPU, runtime)
