import json
from pathlib import Path

import pytest

from progeo_core.model.prompt_form import PromptForm
from progeo_core.train.checkpoint import save_checkpoint
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.command import run
from progeo_core.train.options import read_options

COMMON = """--N 2 --L 1 --groups_num 2 --num_workers 0 --device cpu --batch_size_stage1 20
--epochs_num_stage1 2 --batch_size 4 --iterations_per_epoch 2 --epochs_num 1 --image_size 48
--positive_dist_threshold 5 --backbone tiny-vit --pretrained none --fc_output_dim 16""".split()  # noqa: SIM905


def lay_out_bad_input(folder: Path, dataset: Path) -> None:
    """Lay out names without fields or headings, another backbone's weights, a file in the way."""
    for number, image in enumerate(sorted((dataset / "train").iterdir())[:20]):
        for name in (f"plain/{number}.jpg", f"turned/@{number}@4@@@@@@@@@@@@@.jpg"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(image.resolve())
    flags = [*COMMON, "--backbone", "tiny-resnet", "--image_size", "64"]
    weights = load_towers(read_options("Test.", flags), "stage1").network.state_dict()
    save_checkpoint(weights, folder / "resnet.pth")
    state = {"model_state_dict": weights, "epoch_num": 1, "best_val_recall1": 0.5}
    save_checkpoint(state, folder / "other.pth")
    (folder / "logs" / "taken").mkdir(parents=True)
    (folder / "logs" / "taken" / "file").touch()


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize(
    ("stage", "flags", "code", "message"),
    [
        ("stage2", "--val_set_folder nowhere", 1, "nowhere: needs database/"),
        ("stage2", "--test_set_folder nowhere", 1, "nowhere: needs database/"),
        ("evaluation", "", 2, "no test set: give --test_set_folder"),
        ("stage2", "", 2, "error: no prompts: give --prompt_learners of stage 1"),
        ("stage2", "--without_prompts --fc_output_dim 8", 2, "16-D descriptors, not 8-D"),
        ("stage2", "--prompt_learners none.pth", 1, "none.pth: no such checkpoint"),
        ("stage2", "--without_prompts --batch_size 8", 1, "6 classes, too few for batches of 8"),
        ("stage1", "--min_images_per_class 50", 1, "lower min_images_per_class"),
        ("stage1", "--model mobilenetv2-gem", 2, "is evaluated, not trained"),
        ("stage1", "--ctx_init corridor", 2, "has 1 tokens: give --n_ctx as many"),
        ("stage1", "--groups_num 20", 1, "lower groups_num"),
        ("stage1", "--train_set_folder nowhere", 1, "nowhere: no such folder"),
        ("stage1", "--backbone tiny-vat", 2, "similar: tiny-vit"),
        ("stage1", "--resume_model_stage1 none.pth", 1, "none.pth: no such checkpoint"),
        ("evaluation", "--test_set_folder nowhere", 1, "nowhere: needs database/"),
        ("stage1", "--train_set_folder plain", 1, "0.jpg: not an image name with '@' fields"),
        ("stage1", "--train_set_folder turned", 1, "or set alpha to 360 to do without"),
        ("stage1", "--resume_model_stage1 resnet.pth", 1, "resnet.pth: "),
        ("stage2", "--without_prompts --resume_model resnet.pth", 1, "resnet.pth: "),
        ("stage2", "--without_prompts --resume_train other.pth", 1, "is of another backbone"),
        ("evaluation", "--test_set_folder {val} --resume_model resnet.pth", 1, "resnet.pth: "),
        ("stage2", "--without_prompts --save_dir taken/file", 1, "fix this and resume"),
    ],
)
def test_bad_use_is_one_line_and_its_exit_code(
    stage: str,
    flags: str,
    code: int,
    message: str,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_bad_input(tmp_path, dataset)
    arguments = [
        *COMMON,
        f"--train_set_folder={dataset / 'train'}",
        *flags.format(val=dataset / "val").split(),
    ]
    with pytest.raises(SystemExit) as stopped:
        run("Test.", (stage,), arguments)
    assert stopped.value.code == code
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_models")
def test_stage_2_takes_the_form_of_prompts_from_their_file(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [*COMMON, f"--train_set_folder={dataset / 'train'}"]
    form = "--n_ctx 3 --class_token_position front"
    run("Test.", ("stage1", "stage2"), [*arguments, *form.split(), "--ctx_init=a loading dock"])
    (file,) = tmp_path.glob("logs/default/stage1/*/last_prompt_learners.pth")
    arguments.append(f"--prompt_learners={file}")
    run("Test.", ("stage2",), arguments)
    losses = [
        json.loads(path.read_text())[0]["loss_texts"]
        for path in tmp_path.glob("logs/default/stage2/*/history.json")
    ]
    assert len(losses) == 2
    assert losses[0] == losses[1] > 0
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        run("Test.", ("stage2",), [*arguments, "--n_ctx=8"])
    error = capsys.readouterr().err.strip()
    assert f"prompts are 'A photo of a street X X X.', not '{PromptForm(8)}' (--n_ctx 8" in error


@pytest.mark.usefixtures("tiny_models")
def test_all_folders_are_checked_before_any_stage_begins(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [*COMMON, f"--train_set_folder={dataset / 'train'}", "--test_set_folder=nowhere"]
    with pytest.raises(SystemExit, match="1"):
        run("Test.", ("stage1", "stage2"), arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny_models")
def test_a_drawn_seed_is_written_down(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--seed=-1", f"--test_set_folder={dataset / 'val'}", f"--save_dir={tmp_path / 'runs'}"]
    for _ in range(2):
        run("Test.", ("evaluation",), [*COMMON, *flags])
    files = (tmp_path / "runs" / "evaluation").glob("*/settings.json")
    seeds = [json.loads(file.read_text())["settings"]["run"]["seed"] for file in files]
    assert len(set(seeds)) == 2
    assert min(seeds) >= 0
