import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from progeo_core.train.losses import (
    CosFace,
    contrastive,
    image_to_text,
    prompt_contrastive,
    soft_triplet,
)


def drawn(name: str, *shape: int) -> torch.Tensor:
    """Return the input of that name, as the authors' values were computed from."""
    random = np.random.default_rng(zlib.crc32(f"0/{name}".encode()))
    return torch.from_numpy(random.standard_normal(shape))


@pytest.fixture(scope="module")
def golden(authors_npz: Path) -> dict[str, np.ndarray]:
    with np.load(authors_npz) as arrays:
        names = [name for name in arrays.files if "/" not in name]
        return {name: arrays[name] for name in names}


@pytest.fixture(scope="module")
def labels(golden: dict[str, np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(golden["labels"])


def test_contrastive_loss_both_ways(golden: dict[str, np.ndarray], labels: torch.Tensor) -> None:
    image, text = drawn("img", 24, 32), drawn("txt", 24, 32)
    image_to_texts = contrastive(image, labels, text, labels)
    text_to_images = contrastive(text, labels, image, labels)
    assert image_to_texts.item() == pytest.approx(float(golden["supcon_i2t"]), rel=1e-5)
    assert text_to_images.item() == pytest.approx(float(golden["supcon_t2i"]), rel=1e-5)
    both = prompt_contrastive(image, text, labels)
    assert both.item() == pytest.approx((image_to_texts + text_to_images).item())


def test_cosface(golden: dict[str, np.ndarray], labels: torch.Tensor) -> None:
    classifier = CosFace(32, 6).double()
    classifier.weight.data = drawn("cosface_w", 6, 32)
    logits = classifier(drawn("img", 24, 32), labels)
    np.testing.assert_allclose(logits.detach(), golden["cosface_logits"], rtol=1e-5, atol=1e-5)
    loss = F.cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(float(golden["cosface_ce"]), rel=1e-5)


def test_label_smoothed_cross_entropy(golden: dict[str, np.ndarray], labels: torch.Tensor) -> None:
    loss = image_to_text(drawn("img", 24, 32), drawn("txt6", 6, 32), labels)
    assert loss.item() == pytest.approx(float(golden["label_smooth_ce"]), rel=1e-5)


def test_soft_triplet(golden: dict[str, np.ndarray], labels: torch.Tensor) -> None:
    loss = soft_triplet(F.normalize(drawn("img", 24, 32)), labels)
    assert loss.item() == pytest.approx(float(golden["soft_triplet"]), rel=1e-5)


def test_soft_triplet_learns_from_batches_with_one_image_per_class() -> None:
    descriptors = F.normalize(drawn("img", 8, 32)).requires_grad_()
    soft_triplet(descriptors, torch.arange(8)).backward()
    assert descriptors.grad is not None
    assert torch.isfinite(descriptors.grad).all()
    assert descriptors.grad.abs().sum() > 0
