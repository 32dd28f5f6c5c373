"""Run a stage with CLIP models of a few thousand weights: tiny_run.py STAGE FLAG..."""

import json
import sys
import tempfile
from pathlib import Path

import open_clip
import torch

from progeo_core.train.command import run

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
MODELS = {
    "tiny-vit": {"image_size": 48, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "tiny-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
}


def register_models() -> None:
    """Make the tiny models known to open_clip by their names."""
    with tempfile.TemporaryDirectory() as folder:
        for name, vision in MODELS.items():
            config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}
            (Path(folder) / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    register_models()
    run("Run a stage with a tiny model.", (sys.argv[1],), sys.argv[2:])
