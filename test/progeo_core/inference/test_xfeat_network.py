import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from progeo_core.images.codec import read_image
from progeo_core.inference import xfeat_network
from progeo_core.inference.xfeat_network import XFeatNetwork
from progeo_core.inference.xfeat_weights import MULTIPLE, WEIGHTS


@pytest.fixture(scope="module")
def image(office):
    return torch.from_numpy(read_image(office / "images" / "0355.jpg")[:352, :512])[None]


@torch.inference_mode()
def test_the_maps_are_those_of_the_network_as_published(image):
    xfeat = pytest.importorskip("kornia.feature.xfeat", reason="kornia needs Python 3.11")
    plain = xfeat.XFeatModel().eval()
    del plain.fine_matcher
    plain.load_state_dict(load_file(WEIGHTS), strict=False)
    features, logits, reliability = plain(image.permute(0, 3, 1, 2).float() / 255.0)
    expected = (
        F.normalize(features, dim=1),
        xfeat.XFeat._get_kpts_heatmap(logits)[:, 0],
        reliability,
    )
    for found, own in zip(XFeatNetwork()(image), expected, strict=True):
        np.testing.assert_allclose(found, own, atol=1e-4)


@torch.inference_mode()
def test_the_smallest_image_has_maps():
    features, heat, reliability = XFeatNetwork()(torch.zeros(2, MULTIPLE, MULTIPLE, 3).byte())
    assert features.shape == (2, 64, 4, 4)
    assert heat.shape == (2, MULTIPLE, MULTIPLE)
    assert reliability.shape == (2, 1, 4, 4)


def test_weights_of_another_network_are_refused(monkeypatch):
    monkeypatch.setattr(xfeat_network, "load_file", lambda path: {"other": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="not the weights of this network"):
        XFeatNetwork()
