import numpy as np
import pytest
import torch

from progeo_core.images.codec import read_image
from progeo_core.inference.xfeat_in_torch import XFeatInTorch, export_xfeat


def test_images_of_a_batch_have_the_keypoints_that_each_has_alone(office):
    image = np.ascontiguousarray(read_image(office / "images" / "0355.jpg")[:320, :480])
    pair = np.stack([image, np.zeros_like(image)])
    network = XFeatInTorch(torch.device("cpu"))
    together, none = network.keypoints(pair, 50)
    (alone,) = network.keypoints(pair[:1], 50)
    assert together.shape == (50, 66)
    assert len(none) == 0
    np.testing.assert_allclose(together[:, :2], alone[:, :2], atol=0.05)


def test_an_export_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    path = tmp_path / "xfeat.onnx"
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_xfeat(path)
    assert not list(tmp_path.iterdir())
