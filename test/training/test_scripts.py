import importlib.util
import json
import logging
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.bags.writer import COMPRESSED_IMAGE_TOPIC, POSE_TOPIC, write_bag
from progeo_core.cli import main
from progeo_core.images.codec import read_image
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.options import read_options
from progeo_core.train.towers import descriptor_describer

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ("train_stage1.py", "train_stage2.py", "train.py", "evaluate.py")
FLAGS = """--backbone tiny-vit --pretrained none --fc_output_dim 16 --image_size 48 --N 2 --L 1
--groups_num 2 --batch_size_stage1 20 --epochs_num_stage1 2 --batch_size 4 --epochs_num 1
--iterations_per_epoch 2 --num_workers 0 --device cpu --positive_dist_threshold 5"""


def link_places(images: Path, folder: Path) -> None:
    """Link 40 images under '@' names 2 m apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(sorted(images.iterdir())[:40]):
        name = f"@{500_000 + 2 * number}@4000005@32@S@@@@@90@@@@@{images.name}@.jpg"
        (folder / name).symlink_to(image)


@pytest.fixture
def tiny_models() -> None:
    path = ROOT / "test" / "progeo_core" / "train" / "tiny_run.py"
    spec = importlib.util.spec_from_file_location("tiny_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.register_models()


def run_script(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(logging.root, "handlers", [])
    runpy.run_path(str(ROOT / "training" / name), run_name="__main__")


def progeo(arguments: str) -> None:
    assert main(shlex.split(arguments)) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_models")
def test_both_stages_then_an_evaluation(
    corridor: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for images in (corridor / "ref", corridor / "query"):
        link_places(images, tmp_path / "train")
    link_places(corridor / "ref", tmp_path / "test" / "database")
    link_places(corridor / "query", tmp_path / "test" / "queries_night")
    monkeypatch.chdir(tmp_path)
    sets = ["--train_set_folder", "train", "--test_set_folder", "test"]
    run_script("train.py", [*shlex.split(FLAGS), *sets], monkeypatch)
    (model,) = tmp_path.glob("logs/default/stage2/*/best_model.pth")
    trained = json.loads((model.parent / "recall.json").read_text())
    capsys.readouterr()
    flags = [*sets, "--resume_model", str(model), "--json_output", "again.json"]
    run_script("evaluate.py", [*shlex.split(FLAGS), *flags], monkeypatch)
    assert "queries_night: R@1: " in capsys.readouterr().out
    assert json.loads(Path("again.json").read_text()) == trained
    before = set(Path("cache").glob("*.npy"))
    for times, method in enumerate(("five_crops", "maj_voting"), 1):
        crops = [*shlex.split(FLAGS), *flags, "--test_method", method]
        run_script("evaluate.py", crops, monkeypatch)
        assert json.loads(Path("again.json").read_text())["results"][0]["queries"] == 40
        # The database is described as before.
        assert len(set(Path("cache").glob("*.npy")) - before) == times


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize("backbone", ["tiny-vit", "tiny-resnet"])
def test_from_drives_to_a_map(
    corridor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ref", "query"):
        write_bag(Path("drives", name), read_records(corridor / f"{name}.csv"), compressed=True)
    topics = f"--image-topic {COMPRESSED_IMAGE_TOPIC} --pose-topic {POSE_TOPIC}"
    progeo(f"dataset from-bag drives/ref drives/query {topics} --cell 5 --out site")
    suited = json.loads(Path("site/dataset.json").read_text())["train_with"]
    sets = "".join(f" --{one}_set_folder site/{one}" for one in ("train", "val", "test"))
    flags = f"{FLAGS} {suited} --backbone {backbone} --image_size 64 --positive_dist_threshold 2"
    run_script("train.py", shlex.split(flags + sets), monkeypatch)
    (model,) = tmp_path.glob("logs/default/stage2/*/best_model.pth")
    assert json.loads((model.parent / "recall.json").read_text())["results"][0]["queries"] == 16

    progeo(f"model import {model} --backbone {backbone} --image-size 64 --out model")
    progeo(f"map build site.progeo --bag drives/ref {topics} --model model")
    with PlaceMap.open(Path("site.progeo")) as place_map:
        assert len(place_map) == 111
        assert place_map.fingerprint.name == "model"
        descriptors = place_map.descriptors()
    trained = load_towers(
        read_options("Test.", [*shlex.split(flags), "--resume_model", str(model)]), "evaluation"
    )
    image = torch.from_numpy(read_image(corridor / "ref" / "0000007.jpg")).permute(2, 0, 1)
    describer = descriptor_describer(trained, torch.device("cpu"), 1, 64, "")
    with torch.inference_mode():
        encoded = describer.encode(describer.prepare(image)[None])[0]
    expected = torch.nn.functional.normalize(encoded, dim=0).numpy()
    np.testing.assert_allclose(descriptors[7].astype(np.float32), expected, atol=2e-2)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_the_authors_flags(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        run_script(script, ["--help"], monkeypatch)
    shown = capsys.readouterr().out
    for flag in ("--fc_output_dim", "--resume_model_stage1", "--save_only_wrong_preds", "--M "):
        assert flag in shown
