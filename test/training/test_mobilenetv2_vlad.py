"""The recipe of mobilenetv2-vlad on a few images."""

from pathlib import Path

import numpy as np
import pytest

from progeo_core.images.codec import read_image
from progeo_core.inference.device import choose_device
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.inference.joined_encoder import JoinedEncoder
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import load_model

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"


def test_a_head_that_was_learned_is_written_and_describes_as_it_did(
    corridor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    import mobilenetv2_vlad as recipe
    from vlad_scenes import Scene

    images = tuple(sorted((corridor / "ref").iterdir())[:9:3])
    network, extractor = recipe.network(), FeatureExtractor("cpu", "torch")
    encoder = TorchEncoder(network, choose_device("cpu"))
    described = recipe.describe(Scene("corridor", images, ()), encoder, extractor, dark=False)
    head = recipe.learn([described])
    recipe.write(tmp_path / "model", network.card, extractor.name, head)

    model = load_model(tmp_path / "model")
    assert model.head is not None
    joined = JoinedEncoder(model.card, encoder, extractor, model.head)
    features = described.features[0].astype(np.float32)
    expected = head.join(described.network[0], features)
    np.testing.assert_allclose(joined.encode([read_image(images[0])])[0], expected, atol=2e-3)
