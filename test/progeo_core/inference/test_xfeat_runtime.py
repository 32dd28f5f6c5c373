import logging

import numpy as np
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.runtime import REFERENCE, Variant
from progeo_core.inference.runtime_trial import agreement, trial_images
from progeo_core.inference.xfeat_runtime import XFeatWorkbench, choose_map_finder

CPU = torch.device("cpu")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def finders(tmp_path_factory):
    bench = XFeatWorkbench(CPU, tmp_path_factory.mktemp("export") / "xfeat.onnx")
    return bench.build(REFERENCE), bench.build(Variant("onnx", "float32"))


@pytest.mark.parametrize(("height", "width"), [(352, 512), (64, 320), (32, 32)])
def test_maps_are_the_same_in_every_runtime_and_size(office, finders, height, width):
    image = read_image(office / "images" / "0355.jpg")[None, :height, :width]
    pair = np.ascontiguousarray(np.concatenate([image, image[:, ::-1]]))
    by_torch, by_onnx = (find(pair) for find in finders)
    for first, second in zip(by_torch, by_onnx, strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


def test_answers_tell_a_damaged_network(finders, tmp_path):
    bench = XFeatWorkbench(CPU, tmp_path / "xfeat.onnx")
    images = trial_images()[:2]
    expected = bench.answers(finders[0], images)

    def without_peaks(pixels):
        features, heat, reliability = finders[0](pixels)
        return features, torch.zeros_like(heat), reliability

    assert agreement(bench.answers(finders[1], images), expected) > 0.999
    assert not agreement(bench.answers(without_peaks, images), expected) > 0.999


@pytest.mark.slow
def test_a_trial_is_made_once_and_the_export_lies_beside_those_of_encoders(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caplog.set_level(logging.INFO, "progeo_core.inference")
    choose_map_finder(CPU)
    assert "XFeat: " in caplog.text
    assert "is used from now on" in caplog.text
    assert "bfloat16" not in caplog.text
    assert sorted(path.suffix for path in (tmp_path / "progeo").iterdir()) == [".json", ".onnx"]
    caplog.clear()
    choose_map_finder(CPU)
    assert not caplog.records


@pytest.mark.parametrize(
    ("runtime", "said"), [("fast", "'fast' is not known"), ("tensorrt", "cannot use device 'cpu'")]
)
def test_a_runtime_that_cannot_be_used_is_refused(runtime, said):
    with pytest.raises(UsageError, match=said):
        choose_map_finder(CPU, runtime)
