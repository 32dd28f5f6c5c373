import numpy as np
import pytest
import torch

from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image
from progeo_core.inference.pixels import normalize_pixels, resize_on
from progeo_core.model.preprocessing import Preprocessing

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SEEN = Preprocessing(48, 64)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_tensors_are_the_pixels_that_other_runtimes_see(campus_loop, device):
    image = read_image(campus_loop / "dataset" / "image_0.png")
    resized = resize_on(torch.device(device), image, SEEN)
    assert resized.device.type == device
    np.testing.assert_allclose(resized.cpu().numpy(), SEEN.resize(image), atol=1)
    normalized = normalize_pixels(resized[None], SEEN).cpu().numpy()
    np.testing.assert_allclose(normalized, SEEN.normalize(resized[None].cpu().numpy()), atol=1e-5)


def test_refuses_what_is_no_rgb_image():
    with pytest.raises(ImageError, match="must be RGB uint8"):
        resize_on(torch.device("cpu"), np.zeros((4, 4), np.uint8), SEEN)
