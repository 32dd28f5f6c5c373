from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.named_model import load_named_model

ROOT = Path(__file__).parents[3]


def _loaded(weights: str) -> Any:
    load: Any = torch.hub.load
    return load(str(ROOT), "progeo", source="local", weights=weights)


def test_torch_hub_loads_what_the_commands_do(corridor: Path) -> None:
    # By torch.hub, as it is no encoder of this package's own.
    network: Any = load_encoder(f"hub:{ROOT}:progeo?weights=progeo-tiny", "cpu", trust_code=True)
    image = read_image(corridor / "ref" / "0000000.jpg")
    own = TorchEncoder(load_named_model("progeo-tiny"), torch.device("cpu"))
    (expected,) = own.encode([image])
    seen = network.preprocessing
    with torch.inference_mode():
        own_size, squashed = (
            network(torch.from_numpy(seen.normalize(pixels[None])))[0].numpy()
            for pixels in (seen.resize(image), image.transpose(2, 0, 1))
        )
    assert own_size @ expected > 0.9999
    # Floats are enlarged without the steps and the clamping of pixels.
    assert squashed @ expected > 0.99
    assert np.linalg.norm(squashed) == pytest.approx(1.0, abs=1e-5)
    assert network.fingerprint == own.fingerprint
    assert network.encode([image])[0] @ expected > 0.9999


def test_a_model_with_local_features_is_no_network() -> None:
    with pytest.raises(UsageError, match=r"progeo_core.load_encoder\('mobilenetv2-vlad'\)"):
        _loaded("mobilenetv2-vlad")
