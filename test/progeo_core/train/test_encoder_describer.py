import numpy as np
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.train.descriptors import describe_images
from progeo_core.train.encoder_describer import encoder_describer, load_describer
from progeo_core.train.settings import EvaluationSettings

MODEL = "mobilenetv2-gem"
CPU = torch.device("cpu")


def test_rows_are_the_descriptors_that_the_localizer_has(corridor):
    files = sorted((corridor / "query").glob("*.jpg"))[:3]
    encoder = load_encoder(MODEL, "cpu", "torch")
    describer = encoder_describer(encoder, 2)
    expected = encoder.encode([read_image(file) for file in files])
    np.testing.assert_allclose(describe_images(describer, files).rows, expected, atol=1e-5)
    assert encoder.fingerprint.weights_sha256[:12] in describer.identity


def test_code_of_others_is_not_run_unasked():
    with pytest.raises(UsageError, match="trust"):
        load_describer(EvaluationSettings(model="py:os:getcwd"), CPU)
