"""What training needs of a model, and how a model describes image files."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from progeo_core.model.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from progeo_core.model.prompt_form import PromptForm
from progeo_core.train.descriptors import Describer
from progeo_core.train.precision import Precision


class Towers(Protocol):
    """Image and text towers of one CLIP model, as training uses them.

    network: normalised images [n, 3, h, w] → descriptors [n, dimension]; its state_dict has the
        names of the authors' best_model.pth, its `requires_grad` follows the freezing rules.
    dimension: descriptor length, which is also that of features and texts.
    image_size: side of square images that it is set up for, in pixels.
    fixed_size: whether it takes no other images (ViT).
    identity: text that differs whenever the frozen weights do.
    """

    network: nn.Module
    dimension: int
    image_size: int
    fixed_size: bool
    identity: str

    def image_features(self, images: Tensor) -> Tensor:
        """Return raw features [n, dimension] of normalised images, by the whole frozen tower."""

    def initial_prompts(self, classes: int, n_ctx: int, words: str = "") -> Tensor:
        """Return new prompt vectors [classes, n_ctx, width], of words where there are any."""

    def text_features(self, prompts: Tensor, form: PromptForm) -> Tensor:
        """Return raw text features [n, dimension] of prompt vectors [n, form.n_ctx, width]."""


def normalize(images: Tensor) -> Tensor:
    """Return images [n, 3, h, w] with values 0-1 normalised by ImageNet's statistics."""
    normalized: Tensor = functional.normalize(images, list(IMAGENET_MEAN), list(IMAGENET_STD))
    return normalized


def feature_describer(
    towers: Towers, precision: Precision, batch_size: int, device: torch.device
) -> Describer:
    """Return the describer of stage 1: frozen features of square images, once per image."""
    size = towers.image_size

    def prepare(image: Tensor) -> Tensor:
        scaled: Tensor = functional.resize(image, [size], antialias=True)
        square: Tensor = functional.center_crop(scaled, [size, size])
        return square

    def encode(images: Tensor) -> Tensor:
        with precision.forward():
            return towers.image_features(normalize(images.to(device).float() / 255))

    return Describer(
        prepare, encode, towers.dimension, f"stage 1, {size}, {towers.identity}", batch_size
    )


def descriptor_describer(
    towers: Towers, device: torch.device, batch_size: int, square: int | None, identity: str
) -> Describer:
    """Return the describer of evaluation: descriptors of whole images.

    `square` squashes every image to that side, else images keep their size. `identity` is of the
    weights that the network has now.
    """

    def prepare(image: Tensor) -> Tensor:
        if square is None:
            return image
        squashed: Tensor = functional.resize(image, [square, square], antialias=True)
        return squashed

    def encode(images: Tensor) -> Tensor:
        towers.network.eval()
        descriptors: Tensor = towers.network(normalize(images.to(device).float() / 255))
        return descriptors

    return Describer(
        prepare, encode, towers.dimension, f"stage 2, {square}, {identity}", batch_size
    )
