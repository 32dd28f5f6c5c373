from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from progeo_core.images.codec import read_image
from progeo_core.train.augmentation import Augmentation
from progeo_core.train.settings import Stage2Settings

CPU = torch.device("cpu")


@pytest.fixture
def images(corridor: Path) -> list[torch.Tensor]:
    files = sorted((corridor / "ref").iterdir())[:2]
    pixels = [torch.from_numpy(read_image(file)).permute(2, 0, 1) for file in files]
    return [pixels[0], pixels[1][:, :150, :100]]


def test_crops_are_square_and_valued_0_to_1(images: list[torch.Tensor]) -> None:
    batch = Augmentation(Stage2Settings(image_size=64), CPU)(images, [1, 2])
    assert batch.shape == (2, 3, 64, 64)
    assert batch.min() >= -1e-5
    assert batch.max() <= 1 + 1e-5
    assert batch.std() > 0.05


def test_the_seed_of_an_image_decides_and_nothing_else(images: list[torch.Tensor]) -> None:
    augment = Augmentation(Stage2Settings(image_size=64), CPU)
    state = torch.random.get_rng_state()
    batch = augment(images, [1, 2])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(augment(images[1:], [2])[0], batch[1])
    assert not torch.equal(augment(images[1:], [3])[0], batch[1])


def test_without_jitter_and_crop_the_picture_stays(images: list[torch.Tensor]) -> None:
    plain = Stage2Settings(
        image_size=64, brightness=0, contrast=0, saturation=0, hue=0, random_resized_crop=0
    )
    square = images[0][:, :120, :120]
    batch = Augmentation(plain, CPU)([square], [1])
    expected = functional.resize(square.float() / 255, [64, 64], antialias=True)
    torch.testing.assert_close(batch[0], expected, atol=1 / 255, rtol=0)


def test_crops_are_as_sharp_as_those_of_the_original_pixels(corridor: Path) -> None:
    """Compare with torchvision's crops of the whole image, as the authors take them."""
    files = sorted((corridor / "ref").iterdir())[::10]
    pixels = [torch.from_numpy(read_image(file)).permute(2, 0, 1) for file in files]
    settings = Stage2Settings(image_size=32, brightness=0, contrast=0, saturation=0, hue=0)
    ours = Augmentation(settings, CPU)(pixels, range(len(pixels)))
    crop = v2.RandomResizedCrop([32, 32], scale=(0.5, 1), antialias=True)
    torch.manual_seed(0)
    theirs = torch.stack([crop(image.float() / 255) for image in pixels])
    assert sharpness(ours) == pytest.approx(sharpness(theirs), rel=0.05)


def sharpness(images: torch.Tensor) -> float:
    """Return the mean absolute difference of neighbouring pixels."""
    return float(images.diff(dim=-1).abs().mean() + images.diff(dim=-2).abs().mean())


def test_colours_do_not_follow_from_the_crop(images: list[torch.Tensor]) -> None:
    augment = Augmentation(Stage2Settings(image_size=64, random_resized_crop=0), CPU)
    grey = torch.full((2, 3, 64, 64), 100, dtype=torch.uint8)
    jittered = augment.jitter(grey, [1, 2])
    assert not torch.allclose(jittered[0], jittered[1])
    assert augment.crop(images[0], 1).dtype == torch.uint8
