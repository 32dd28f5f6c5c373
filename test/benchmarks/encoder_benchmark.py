"""One image through the encoder, from RGB pixels of 640 × 480 to the descriptor, batch 1.

Plain is the network as open_clip or torchvision builds it, eager in float32, after the same resize.
CLIP has random weights, as their values do not change the time. Cosine is with plain.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from progeo_core.errors import ProgeoError
from progeo_core.inference.device import AUTO
from progeo_core.inference.encoder_workbench import EncoderWorkbench
from progeo_core.inference.runtime import variants
from progeo_core.inference.runtime_trial import agreement
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model
from test.benchmarks.image_path_benchmark import camera_image
from test.benchmarks.row import Row, compare

MODELS = (DEFAULT_MODEL, "CLIP-RN50:none", "CLIP-ViT-B-16:none")
TIMED = 10
CPU = torch.device("cpu")


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per model and way to run it."""
    torch.manual_seed(0)
    picture = camera_image()
    for name in MODELS:
        model = load_named_model(name)
        bench = EncoderWorkbench(
            model.card,
            functools.partial(load_named_model, name),
            CPU,
            folder / f"{model.card.weights_sha256[:12]}.onnx",
        )
        network = copy.deepcopy(model.network).eval()
        for variant in variants(AUTO, CPU):
            try:
                encoder = bench.build(variant)
            except ProgeoError as error:
                print(error)
                continue
            cosine = agreement(encoder.encode([picture]), plain(network, model, picture))
            yield compare(
                f"{name}, {variant}",
                functools.partial(encoder.encode, [picture]),
                functools.partial(plain, network, model, picture),
                repeats=TIMED,
                also={"cosine": cosine},
            )


@torch.inference_mode()
def plain(network: torch.nn.Module, model: Model, picture: np.ndarray) -> np.ndarray:
    """Describe one image with the network as it was built."""
    preprocessing = model.card.preprocessing
    pixels = torch.from_numpy(preprocessing.normalize(preprocessing.resize(picture)[None]))
    return F.normalize(network(pixels), dim=1).numpy()
