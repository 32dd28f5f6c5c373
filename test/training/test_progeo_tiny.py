"""The recipe of progeo-tiny on a few images, from folders to trained weights."""

import csv
import json
import logging
import runpy
import sys
from pathlib import Path

import pytest
import torch

from progeo_core.images.codec import read_image
from progeo_core.model.model_folder import load_model, read_model
from progeo_core.model.network import ProgeoNetwork
from progeo_core.model.stored_model import find_model_folder
from progeo_core.records.cosplace_names import read_name
from progeo_core.train.augmentation import Augmentation
from progeo_core.train.settings import Stage2Settings
from progeo_core.train.towers import normalize

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"
CLIPS = ("a1", "a2", "b1", "b2", "c1")
FRAMES = 20
SMALLER = """--image_size 64 --batch_size 4 --iterations_per_epoch 1 --epochs_num 2
--epochs_num_stage1 2 --min_images_per_class 2 --device cpu"""


@pytest.fixture
def tower(corridor: Path, tmp_path: Path) -> Path:
    """Write a walkthrough in the form of the data set, of images of the corridor."""
    images = sorted((corridor / "ref").iterdir())
    folder = tmp_path / "tower"
    folder.mkdir()
    with (folder / "records.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "video", "frame"])
        for number, clip in enumerate(CLIPS):
            for frame in range(FRAMES):
                name = f"{clip}_{frame}.jpg"
                (folder / name).symlink_to(images[number * FRAMES + frame])
                writer.writerow([name, clip, frame])
    return folder


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(TRAINING))
    monkeypatch.setattr(logging.root, "handlers", [])
    return TRAINING / "progeo_tiny.py"


def test_every_frame_is_seen_by_a_good_and_by_a_poor_camera(
    tower: Path, recipe: Path, tmp_path: Path
) -> None:
    del recipe
    from ie_tower import read_frames, write_folder

    write_folder(read_frames(tower), tmp_path / "data")
    names = {path: read_name(path.name) for path in (tmp_path / "data").iterdir()}
    places = {(name.east_m, name.north_m) for name in names.values()}
    assert places == {(1000.0 * clip, frame) for clip in range(5) for frame in range(FRAMES)}
    assert len(names) == 2 * len(places)
    low = next(path for path, name in names.items() if name.note == "low")
    assert read_image(low).shape == (90, 160, 3)


@pytest.fixture
def mobilenet(tmp_path: Path) -> Path:
    """Write ImageNet's trunk under torchvision's names, from the model that ships."""
    folder = find_model_folder("mobilenetv2-gem")
    assert folder is not None
    state = read_model(folder, with_text=False).state
    trunk = {name.removeprefix("backbone."): w for name, w in state.items() if "backbone" in name}
    path = tmp_path / "mobilenet_v2.pth"
    torch.save({f"features.{name}": weight for name, weight in trunk.items()}, path)
    return path


@pytest.mark.slow
def test_trains_both_variants_and_leaves_the_prompts_out_of_one(
    tower: Path, mobilenet: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = f"--ie_tower {tower} --mobilenet {mobilenet} --out out --seeds 3 --".split()
    monkeypatch.setattr(sys, "argv", ["progeo_tiny.py", *arguments, *SMALLER.split()])
    runpy.run_path(str(recipe), run_name="__main__")
    losses = {}
    for variant in ("full", "cosplace"):
        (run,) = (tmp_path / "logs" / "progeo-tiny" / f"{variant}-3" / "stage2").iterdir()
        losses[variant] = json.loads((run / "history.json").read_text())[0]["loss_texts"]
    assert losses["full"] > 0
    assert losses["cosplace"] == 0
    weights = {
        folder.name: load_model(folder).network.state_dict()
        for folder in (tmp_path / "out" / "models").iterdir()
    }
    assert set(weights) == {"imagenet", "whitened", "full-3", "cosplace-3"}
    moved = {
        name
        for name, weight in weights["whitened"].items()
        if not torch.equal(weight, weights["full-3"][name])
    }
    assert "backbone.trunk.conv_head.weight" in moved
    assert not any("blocks" in name or "running" in name for name in moved)


@pytest.mark.slow
def test_whitening_evens_out_how_views_of_a_place_differ(
    corridor: Path, mobilenet: Path, recipe: Path
) -> None:
    del recipe
    from start_weights import imagenet_clip, set_projection, whitening

    settings = Stage2Settings(image_size=64)
    places = [[path] for path in sorted((corridor / "ref").iterdir())[::8]]
    network = imagenet_clip(mobilenet)
    ratio = [spread_ratio(network, places, settings)]
    set_projection(network, whitening(network, places, settings))
    ratio.append(spread_ratio(network, places, settings))
    assert ratio[1] < 0.9 * ratio[0]


def spread_ratio(
    network: ProgeoNetwork, places: list[list[Path]], settings: Stage2Settings
) -> float:
    """Return how far views of one place differ, as a share of how far all views do."""
    augment = Augmentation(settings, torch.device("cpu"))
    images = [torch.from_numpy(read_image(path).copy()).permute(2, 0, 1) for (path,) in places]
    views = [normalize(augment(images, [seed] * len(images))) for seed in (0, 1)]
    with torch.no_grad():
        described = torch.stack([network(view) for view in views])
    within = (described - described.mean(dim=0)).square().sum()
    return float(within / (described - described.mean(dim=(0, 1))).square().sum())
