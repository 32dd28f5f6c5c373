from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torchvision.models import mobilenet_v2

from progeo_core.model.mobilenet import MobileNetTrunk


@torch.inference_mode()
def test_computes_what_torchvisions_trunk_does_with_its_weights() -> None:
    torch.manual_seed(0)
    theirs = mobilenet_v2().features
    ours = MobileNetTrunk()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 96, 64)
    assert torch.equal(ours.eval()(images), theirs.eval()(images))


def test_starts_from_weights_like_torchvisions() -> None:
    theirs = dict(mobilenet_v2().features.named_parameters())
    for name, weight in MobileNetTrunk().named_parameters():
        assert abs(weight.std() - theirs[name].std()) <= 0.3 * theirs[name].std()


@pytest.mark.slow
def test_a_model_that_ships_needs_neither_open_clip_nor_torchvision() -> None:
    code = (
        "import sys; from progeo_core.inference.loading import load_encoder;"
        "load_encoder('mobilenetv2-gem', 'cpu', 'torch');"
        "print(*{'open_clip', 'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
