"""The recipe of progeo-tiny on a few images, from folders to trained weights."""

import csv
import json
import logging
import runpy
import sys
from pathlib import Path

import pytest
import torch

from progeo_core.image_names import read_name
from progeo_core.images import read_image
from progeo_core.model.aggregation import Head
from progeo_core.model.backbone import CLIP_MOBILENET
from progeo_core.model.network import Architecture, build_network

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"
# Six clips on three floors; the first floor validates.
CLIPS = {"a1": "floor1", "a2": "floor1", "b1": "floor2", "b2": "floor2", "c1": "floor3"}
FRAMES = 20


@pytest.fixture
def tower(corridor: Path, tmp_path: Path) -> Path:
    """Write a walkthrough in the form of the data set, of images of the corridor."""
    images = sorted((corridor / "ref").iterdir())
    folder = tmp_path / "tower"
    folder.mkdir()
    with (folder / "records.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "floor", "video", "frame"])
        for number, (clip, floor) in enumerate(CLIPS.items()):
            for frame in range(FRAMES):
                name = f"{clip}_{frame}.jpg"
                (folder / name).symlink_to(images[number * FRAMES + frame])
                writer.writerow([name, floor, clip, frame])
    return folder


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(TRAINING))
    monkeypatch.setattr(logging.root, "handlers", [])
    return TRAINING / "progeo_tiny.py"


def test_whole_floors_validate_and_queries_are_not_in_the_database(
    tower: Path, recipe: Path, tmp_path: Path
) -> None:
    del recipe
    from ie_tower import read_frames, write_folders

    write_folders(read_frames(tower), tmp_path / "data")
    folders = {
        name: [read_name(path.name) for path in (tmp_path / "data" / name).iterdir()]
        for name in ("train", "val/database", "val/queries")
    }
    clips = {name: {fields.east_m for fields in found} for name, found in folders.items()}
    assert clips["train"] == {2000.0, 3000.0, 4000.0}
    assert clips["val/database"] == clips["val/queries"] == {0.0, 1000.0}
    assert len(folders["train"]) == 3 * FRAMES * 2
    frames = [{fields.north_m for fields in folders[f"val/{name}"]} for name in ("database", "queries")]
    assert not frames[0] & frames[1]
    low = next(path for path in (tmp_path / "data" / "train").iterdir() if "@low@" in path.name)
    assert read_image(low).shape == (90, 160, 3)


def test_trains_both_variants_and_leaves_the_prompts_out_of_one(
    tower: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    torch.manual_seed(0)
    network = build_network(Architecture(CLIP_MOBILENET, Head.GEM_LINEAR, 512, True))
    torch.save(network.state_dict(), out / "clip.pth")
    arguments = f"--ie_tower {tower} --mobilenet unused --out {out} --seeds 3 --".split()
    smaller = """--image_size 64 --batch_size 4 --iterations_per_epoch 1 --epochs_num 2
    --epochs_num_stage1 2 --min_images_per_class 2 --device cpu""".split()
    monkeypatch.setattr(sys, "argv", ["progeo_tiny.py", *arguments, *smaller])
    runpy.run_path(str(recipe), run_name="__main__")
    losses = {}
    for variant in ("full", "cosplace"):
        (run,) = (tmp_path / "logs" / "progeo-tiny" / f"{variant}-3" / "stage2").iterdir()
        losses[variant] = json.loads((run / "history.json").read_text())[0]["loss_texts"]
        state = torch.load(run / "best_model.pth", weights_only=True)
        assert state["aggregation.3.weight"].shape == (512, 1280)
    assert losses["full"] > 0
    assert losses["cosplace"] == 0
