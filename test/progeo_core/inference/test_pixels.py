import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.pixels import normalize_pixels, resize_on, squash_floats
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.model_folder import load_model
from progeo_core.model.preprocessing import Preprocessing

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SEEN = Preprocessing(48, 64)


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(512, 512), (96, 160)])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_resizes_as_pillow_does_for_other_runtimes(campus_loop, resampling, height, width, device):
    image = read_image(campus_loop / "dataset" / "image_0.png")
    seen = Preprocessing(height, width, resampling)
    resized = resize_on(torch.device(device), image, seen)
    assert (resized.device.type, resized.dtype) == (device, torch.uint8)
    difference = np.abs(resized.cpu().numpy().astype(np.float32) - seen.resize(image))
    assert difference.max() <= 2  # both round twice, to different precision
    assert difference.mean() < 0.1


def _as_a_gpu_resizes(image: Image, seen: Preprocessing) -> NDArray[np.uint8]:
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    return squash_floats(pixels, seen)[0].to(torch.uint8).numpy()


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(512, 512), (96, 100)])
@pytest.mark.parametrize("name", ["corridor/ref/0000001.jpg", "campus_loop/dataset/image_0.png"])
def test_floats_become_the_bytes_of_the_cpu(corridor, name, resampling, height, width):
    image = read_image(corridor.parent / name)
    seen = Preprocessing(height, width, resampling)
    wanted = resize_on(torch.device("cpu"), image, seen).numpy()
    difference = np.abs(_as_a_gpu_resizes(image, seen).astype(np.int16) - wanted)
    assert difference.max() <= 2  # the CPU's weights have 16 bits
    assert difference.mean() < 0.02


@pytest.mark.slow
def test_a_model_sees_the_same_on_a_gpu(corridor):
    folder = built_in_folder("progeo-tiny")
    assert folder is not None
    model = load_model(folder)
    encoder = TorchEncoder(model, torch.device("cpu"))
    image = read_image(corridor / "ref" / "0000001.jpg")
    resized = _as_a_gpu_resizes(image, model.card.preprocessing).transpose(1, 2, 0)
    one, other = encoder.encode([image, np.ascontiguousarray(resized)])
    assert one @ other >= 0.9999


def test_normalises_as_for_other_runtimes():
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    found = normalize_pixels(torch.from_numpy(pixels), SEEN)
    np.testing.assert_allclose(found, SEEN.normalize(pixels), atol=1e-5)


def test_takes_mirrored_and_read_only_images(campus_loop):
    image = read_image(campus_loop / "dataset" / "image_0.png")
    frozen = image.copy()
    frozen.setflags(write=False)
    cpu = torch.device("cpu")
    assert torch.equal(resize_on(cpu, frozen, SEEN), resize_on(cpu, image, SEEN))
    mirrored = resize_on(cpu, image[:, ::-1], SEEN)
    assert torch.equal(mirrored, resize_on(cpu, np.ascontiguousarray(image[:, ::-1]), SEEN))


def test_refuses_what_is_no_rgb_image():
    with pytest.raises(ImageError, match="must be RGB uint8"):
        resize_on(torch.device("cpu"), np.zeros((4, 4), np.uint8), SEEN)
