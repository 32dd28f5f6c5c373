"""Train progeo-tiny, and the runs that it is compared with; see training/README.md.

From ImageNet's MobileNetV2 and the IE Tower walkthroughs: the training folder, a small CLIP to
start from, and for every seed both stages, and stage 2 alone without prompts. Every one becomes a
model folder in OUT/models, for training/ablation.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from ie_tower import read_frames, write_folder
from start_weights import DIMENSION, imagenet_clip, set_projection, whitening

from progeo_core.atomic_file import replaced_file
from progeo_core.model.assembly import architecture_of
from progeo_core.model.backbone import CLIP_MOBILENET
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import save_model
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.weights import State, read_state, sha256_of, visual_part
from progeo_core.train.command import run
from progeo_core.train.options import read_options
from progeo_core.train.stage2 import BEST_MODEL

_PLACES = ("--M", "5", "--alpha", "360", "--N", "2", "--L", "1", "--groups_num", "2")
# Few, similar images: most of ImageNet's trunk and all of its statistics stay unchanged, colours
# change less than outdoors, and the classifiers see every image a few times.
_SMALL_DATA = (
    *("--freeze_cnn", "7", "--freeze_batch_norm", "--min_images_per_class", "8"),
    *("--brightness", "0.4", "--contrast", "0.4", "--saturation", "0.4", "--hue", "0.05"),
    *("--batch_size_stage1", "256", "--epochs_num_stage1", "40"),
    *("--batch_size", "32", "--iterations_per_epoch", "25", "--epochs_num", "4"),
    *("--num_workers", "0"),
)


def main() -> None:
    """Run every step that is not done yet in the folder OUT."""
    options = _read_options()
    data = options.out / "data"
    if not data.is_dir():
        write_folder(read_frames(options.ie_tower), data)
    if not _start(options).is_file():
        write_start(options)
    for seed in options.seeds:
        for name, stages in {"full": ("stage1", "stage2"), "cosplace": ("stage2",)}.items():
            if not (_models(options) / f"{name}-{seed}").is_dir():
                train(f"{name}-{seed}", stages, seed, options)


def write_start(options: argparse.Namespace) -> None:
    """Write the models `imagenet` and `whitened`, and the latter as the start of training."""
    network = imagenet_clip(options.mobilenet)
    write_model(network.state_dict(), _models(options) / "imagenet", "ImageNet's trunk with GeM")
    data = options.out / "data"
    cameras = (sorted(data.glob(f"*@{camera}@*")) for camera in ("full", "low"))
    settings = read_options("", [*_SMALL_DATA, *options.flags]).stage2
    set_projection(network, whitening(network, list(zip(*cameras, strict=True)), settings))
    write_model(
        network.state_dict(), _models(options) / "whitened", "the same with a whitening projection"
    )
    with replaced_file(_start(options)) as unfinished:
        torch.save(network.state_dict(), unfinished)


def train(name: str, stages: Sequence[str], seed: int, options: argparse.Namespace) -> None:
    """Run some stages with one seed; results go to logs/progeo-tiny/NAME, the model to OUT."""
    flags = [
        *("--train_set_folder", str(options.out / "data")),
        *("--backbone", CLIP_MOBILENET, "--fc_output_dim", str(DIMENSION)),
        *("--pretrained", str(_start(options))),
        *("--cache_feature_folder", str(options.out / "cache")),
        *("--save_dir", f"progeo-tiny/{name}", "--seed", str(seed)),
        *_PLACES,
        *_SMALL_DATA,
        *options.flags,
    ]
    if "stage1" not in stages:
        flags.append("--without_prompts")
    run(__doc__ or "", stages, flags)
    newest = max(Path("logs/progeo-tiny", name, "stage2").iterdir())
    source = f"MobileNetV2 of ImageNet trained on the IE Tower walkthroughs: {' + '.join(stages)}"
    write_model(read_state(newest / BEST_MODEL), _models(options) / name, source)


def write_model(state: State, folder: Path, source: str) -> None:
    """Write the visual weights as a model folder, in half precision."""
    small = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in visual_part(state).items()
    }
    card = ModelCard(
        name="progeo-tiny",
        architecture=architecture_of(small, CLIP_MOBILENET),
        preprocessing=Preprocessing(resampling="bicubic"),
        weights_sha256=sha256_of(small),
        source=f"{source}; training/progeo_tiny.py",
        licence="BSD-3-Clause (ImageNet weights of torchvision), MIT (images of IE Tower)",
    )
    save_model(folder, card, small)


def _start(options: argparse.Namespace) -> Path:
    start: Path = options.out / "clip.pth"
    return start


def _models(options: argparse.Namespace) -> Path:
    models: Path = options.out / "models"
    return models


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
