"""Train progeo-tiny, and the runs that it is compared with; see training/README.md.

From ImageNet's MobileNetV2 and the IE Tower walkthroughs: the training folder, a small CLIP to
start from, and for every seed both stages, and stage 2 alone without prompts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ie_tower import read_frames, write_folders
from torch import Tensor

from progeo_core.atomic_file import replaced_file
from progeo_core.images import read_image
from progeo_core.model.aggregation import Head
from progeo_core.model.backbone import CLIP_MOBILENET, feature_map
from progeo_core.model.network import Architecture, ProgeoNetwork, build_network
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.weights import read_state
from progeo_core.train.command import run

DIMENSION = 512
# Enough images to see the directions in which descriptors of corridors vary.
_PROJECTION_IMAGES = 600
_PLACES = ("--M", "5", "--alpha", "360", "--N", "2", "--L", "1", "--groups_num", "2")
_SMALL_DATA = (
    *("--min_images_per_class", "8", "--batch_size_stage1", "256", "--epochs_num_stage1", "40"),
    *("--lr", "5e-5", "--image_size", "224", "--batch_size", "32", "--iterations_per_epoch", "25"),
    *("--epochs_num", "4", "--positive_dist_threshold", "2.5", "--resize_test_imgs"),
)


def main() -> None:
    """Do whatever of it is not done yet in the folder OUT."""
    options = _read_options()
    data, clip = options.out / "data", options.out / "clip.pth"
    if not data.is_dir():
        write_folders(read_frames(options.ie_tower), data)
    if not clip.is_file():
        write_clip(options.mobilenet, sorted((data / "train").iterdir()), clip)
    for seed in options.seeds:
        for name, stages in {"full": ("stage1", "stage2"), "cosplace": ("stage2",)}.items():
            train(name, stages, seed, options)


def train(name: str, stages: Sequence[str], seed: int, options: argparse.Namespace) -> None:
    """Run some stages with one seed; results go to logs/progeo-tiny/NAME-SEED."""
    data = options.out / "data"
    flags = [
        *("--train_set_folder", str(data / "train"), "--val_set_folder", str(data / "val")),
        *("--backbone", CLIP_MOBILENET, "--fc_output_dim", str(DIMENSION)),
        *("--pretrained", str(options.out / "clip.pth")),
        *("--cache_feature_folder", str(options.out / "cache"), "--num_workers", "0"),
        *("--save_dir", f"progeo-tiny/{name}-{seed}", "--seed", str(seed)),
        *_PLACES,
        *_SMALL_DATA,
        *options.flags,
    ]
    if "stage1" not in stages:
        flags.append("--without_prompts")
    run(__doc__ or "", stages, flags)


def write_clip(mobilenet: Path, images: Sequence[Path], clip: Path) -> None:
    """Write the CLIP that training starts from.

    Visual side: ImageNet's trunk; both projections are the leading directions of its pooled
    features on some training images, so that descriptors begin as those of the plain trunk.
    Text side: random; it has never seen language, and stage 1 finds prompts that it turns into the
    features of the classes.
    """
    torch.manual_seed(0)
    network = build_network(Architecture(CLIP_MOBILENET, Head.GEM_LINEAR, DIMENSION, True))
    torch.nn.init.orthogonal_(network.text_encoder.text_projection)
    # timm holds the same layers as torchvision in the same order, under other names.
    trunk = network.backbone.trunk
    weights = [value for key, value in read_state(mobilenet).items() if "classifier" not in key]
    trunk.load_state_dict(dict(zip(trunk.state_dict(), weights, strict=True)))
    some = np.linspace(0, len(images) - 1, _PROJECTION_IMAGES).astype(int)
    pooled = _pooled(network, [images[row] for row in some])
    directions = torch.linalg.svd(pooled, full_matrices=False).Vh[:DIMENSION]
    with torch.no_grad():
        network.aggregation[3].weight.copy_(directions)
        network.aggregation[3].bias.zero_()
        network.backbone.head.proj.weight.copy_(directions)
    with replaced_file(clip) as unfinished:
        torch.save(network.state_dict(), unfinished)


@torch.no_grad()
def _pooled(network: ProgeoNetwork, images: Sequence[Path]) -> Tensor:
    """Return what the linear layer of the head gets, [n, C] of unit length."""
    look = Preprocessing()
    pooled = []
    for image in images:
        batch = look.normalize(look.resize(read_image(image))[None])
        maps = feature_map(network.backbone, batch)
        pooled.append(network.aggregation[:3](maps)[0])
    return torch.nn.functional.normalize(torch.stack(pooled))


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ie_tower", type=Path, required=True, help="folder with records.csv")
    parser.add_argument("--mobilenet", type=Path, required=True, help="mobilenet_v2-b0353104.pth")
    parser.add_argument("--out", type=Path, default=Path("progeo-tiny"), help="work folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("flags", nargs="*", help="further flags of train.py, after --")
    return parser.parse_args()


if __name__ == "__main__":
    main()
