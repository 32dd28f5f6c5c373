import importlib.util
import json
import logging
import runpy
import shlex
import sys
from pathlib import Path

import pytest

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
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.register_models()


def run_script(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(logging.root, "handlers", [])
    runpy.run_path(str(ROOT / "training" / name), run_name="__main__")


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


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_the_authors_flags(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        run_script(script, ["--help"], monkeypatch)
    shown = capsys.readouterr().out
    for flag in ("--fc_output_dim", "--resume_model_stage1", "--save_only_wrong_preds", "--M "):
        assert flag in shown
