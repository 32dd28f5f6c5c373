"""Run both stages and the test with a CLIP of a few thousand weights; also as a program."""

import logging
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor, nn

from progeo_core.train.options import read_options
from progeo_core.train.processes import start_processes
from progeo_core.train.runs import run_stage1, run_stage2

DIMENSION, WIDTH, SIZE = 16, 16, 48
PROMPT = "A photo of a X X X X street."
FIRST, COUNT = 5, 4  # the learned tokens, after the start and "a photo of a"


class TinyTowers:
    """Offer a vision transformer and a text transformer of two layers each to training."""

    dimension, stage1_size, fixed_size = DIMENSION, SIZE, True
    identity = "tiny"

    def __init__(self) -> None:
        torch.manual_seed(0)
        vision = CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=16, image_size=SIZE)
        text = CLIPTextCfg(width=WIDTH, heads=2, layers=2)
        self.clip = CLIP(DIMENSION, vision, text).requires_grad_(False)
        self.clip.token_embedding.weight.mul_(20)
        self.network: nn.Module = self.clip.visual.requires_grad_(True)
        self.tokens = open_clip.tokenize(PROMPT)

    def image_features(self, images: Tensor) -> Tensor:
        return self.clip.visual(images)

    def initial_prompts(self, classes: int) -> Tensor:
        return 0.02 * torch.randn(classes, COUNT, WIDTH)

    def text_features(self, prompts: Tensor) -> Tensor:
        frozen = self.clip.token_embedding(self.tokens).expand(len(prompts), -1, -1)
        embedded = torch.cat([frozen[:, :FIRST], prompts, frozen[:, FIRST + COUNT :]], 1)
        hidden = self.clip.transformer(
            embedded + self.clip.positional_embedding, attn_mask=self.clip.attn_mask
        )
        end = self.clip.ln_final(hidden)[:, self.tokens.argmax()]
        return end @ self.clip.text_projection


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    settings = read_options("Train both stages of a tiny model in this folder.")
    with start_processes(settings.run.device) as processes:
        if settings.stage2.prompt_learners:
            run_stage2(settings, TinyTowers(), processes, Path("logs"))
        else:
            run_stage1(settings, TinyTowers(), processes, Path("logs"))


if __name__ == "__main__":
    main()
