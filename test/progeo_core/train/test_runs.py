import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from progeo_core.images.codec import encode_jpeg
from progeo_core.train.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow
TINY_RUN = Path(__file__).parent / "tiny_run.py"
COMMON = """--N 2 --L 1 --groups_num 2 --num_workers 1 --seed 3 --device cpu
--batch_size_stage1 20 --epochs_num_stage1 6 --batch_size 4 --iterations_per_epoch 6
--epochs_num 4 --image_size 48 --lr 1e-3 --infer_batch_size 16 --positive_dist_threshold 5
--num_preds_to_save 3 --backbone tiny-vit --pretrained none --fc_output_dim 16""".split()  # noqa: SIM905
TWO_PROCESSES = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


def start(
    stage: str, folder: Path, dataset: Path, *flags: str, launch: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    sets = [
        f"--train_set_folder={dataset / 'train'}",
        f"--val_set_folder={dataset / 'val'}",
        f"--test_set_folder={dataset / 'val'}",
    ]
    command = [sys.executable, *launch, str(TINY_RUN), stage, *COMMON, *sets, *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    output = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 0, output
    return output


def only_run(folder: Path, stage: str) -> Path:
    (run,) = (folder / "logs" / "default" / stage).iterdir()
    return run


def history(run: Path) -> list[dict[str, float]]:
    return json.loads((run / "history.json").read_text())


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which both stages have run without a break."""
    folder = tmp_path_factory.mktemp("finished")
    finish(start("stage1", folder, dataset))
    output = finish(start("stage2", folder, dataset, "--prompt_learners", prompts_of(folder)))
    assert "queries: R@1:" in output
    return folder


def prompts_of(folder: Path) -> str:
    return str(only_run(folder, "stage1") / "last_prompt_learners.pth")


def test_both_stages_leave_their_files(finished: Path) -> None:
    stage1, stage2 = only_run(finished, "stage1"), only_run(finished, "stage2")
    losses = [row["loss"] for row in history(stage1)]
    assert len(losses) == 6
    assert losses[4] < losses[0]
    assert losses[5] < losses[1]
    rows = history(stage2)
    assert len(rows) == 4
    assert rows[2]["loss_classes"] < rows[0]["loss_classes"]
    assert all(row["loss_texts"] > 0 for row in rows)
    made = {file.name for file in stage2.iterdir()}
    expected = {"best_model.pth", "last_checkpoint.pth", "settings.json", "history.png", "examples"}
    assert expected <= made
    assert (stage1 / "prompt_words.json").is_file()
    by_epoch = json.loads((stage2 / "examples" / "epochs.json").read_text())
    assert [one["epoch"] for one in by_epoch] == [0, 1, 2, 3]
    assert any(name.startswith("events.out.tfevents") for name in made)
    predictions = stage2 / "predictions" / "queries"
    assert len(list(predictions.glob("*.jpg"))) == 20
    with (predictions / "predictions.csv").open(newline="") as file:
        first = [float(row["right"]) for row in csv.DictReader(file) if row["rank"] == "1"]
    best = max(row["recall_1"] for row in rows)
    (tested,) = json.loads((stage2 / "recall.json").read_text())["results"]
    assert tested["recall_at"]["1"] == pytest.approx(best) == pytest.approx(np.mean(first))


def test_a_killed_run_resumes_to_the_same_losses(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    prompts = ("--prompt_learners", prompts_of(finished))
    process = start("stage2", tmp_path, dataset, *prompts)
    run = wait_for_epochs(process, tmp_path, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(history(run)) < 4
    finish(
        start(
            "stage2",
            tmp_path,
            dataset,
            *prompts,
            "--resume_train",
            str(run / "last_checkpoint.pth"),
        )
    )
    newest = max((tmp_path / "logs" / "default" / "stage2").iterdir())
    assert newest != run
    assert history(newest) == history(only_run(finished, "stage2"))
    left = {path.name for path in tmp_path.rglob("*")}
    assert not any(name.endswith(("-new", ".partial")) or name == "validation" for name in left)


def wait_for_epochs(process: subprocess.Popen[bytes], folder: Path, epochs: int) -> Path:
    """Return the run folder as soon as that many checkpoints were written."""
    while process.poll() is None:
        runs = list((folder / "logs").glob("default/stage2/*/last_checkpoint.pth"))
        if runs and load_checkpoint(runs[0])["epoch_num"] >= epochs:
            return runs[0].parent
        time.sleep(0.02)
    raise AssertionError(f"the run ended too early: {process.communicate()[0].decode()}")


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    prompts = ("--prompt_learners", prompts_of(finished))
    process = start("stage2", tmp_path, dataset, *prompts, "--epochs_num", "1000")
    run = wait_for_epochs(process, tmp_path, 1)
    # From here on no file may be as large as a checkpoint is.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
    output = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "cannot be written (File too large); the previous file is unchanged" in line
    state = load_checkpoint(run / "last_checkpoint.pth")
    assert not list(run.glob("*-new"))
    again = ("--resume_train", str(run / "last_checkpoint.pth"))
    more = ("--epochs_num", str(state["epoch_num"] + 1))
    finish(start("stage2", tmp_path, dataset, *prompts, *again, *more))
    newest = max((tmp_path / "logs" / "default" / "stage2").iterdir())
    assert len(history(newest)) == state["epoch_num"] + 1


def test_two_processes_train_as_one_does(finished: Path, dataset: Path, tmp_path: Path) -> None:
    prompts = ("--prompt_learners", prompts_of(finished))
    finish(start("stage1", tmp_path, dataset, launch=TWO_PROCESSES))
    finish(start("stage2", tmp_path, dataset, *prompts, launch=TWO_PROCESSES))
    for stage in ("stage1", "stage2"):
        alone, together = (history(only_run(where, stage)) for where in (finished, tmp_path))
        for one, two in zip(alone, together, strict=True):
            assert two == pytest.approx(one, rel=2e-3)


def test_stage_1_finds_its_features_again(finished: Path, dataset: Path) -> None:
    cached = {file: file.stat().st_mtime_ns for file in (finished / "cache").iterdir()}
    assert len(cached) == 4  # two groups, database and queries
    finish(start("stage1", finished, dataset, "--save_dir", "again", "--epochs_num_stage1", "1"))
    assert {file: file.stat().st_mtime_ns for file in (finished / "cache").iterdir()} == cached


def test_unusable_images_are_listed_by_both_stages(dataset: Path, tmp_path: Path) -> None:
    """One image is cut off and one is a strip; two processes share the work."""
    train = tmp_path / "set" / "train"
    train.mkdir(parents=True)
    for number, image in enumerate(sorted((dataset / "train").iterdir())):
        if number == 3:
            (train / image.name).write_bytes(image.read_bytes()[:500])
        elif number == 8:
            (train / image.name).write_bytes(encode_jpeg(np.zeros((9, 300, 3), np.uint8)))
        else:
            (train / image.name).symlink_to(image.resolve())
    (tmp_path / "set" / "val").symlink_to(dataset / "val")
    small = ("--epochs_num_stage1", "2", "--epochs_num", "2")
    output = finish(start("stage1", tmp_path, tmp_path / "set", *small, launch=TWO_PROCESSES))
    assert "2 images skipped so far" in " ".join(output.split())
    lines = (only_run(tmp_path, "stage1") / "skipped.txt").read_text().splitlines()
    assert len(lines) == 2
    prompts = ("--prompt_learners", prompts_of(tmp_path))
    finish(start("stage2", tmp_path, tmp_path / "set", *small, *prompts))
    assert all(row["loss"] > 0 for row in history(only_run(tmp_path, "stage2")))


def test_a_resnet_trains_without_prompts_and_recomputing(dataset: Path, tmp_path: Path) -> None:
    flags = ["--backbone", "tiny-resnet", "--without_prompts", "--gradient_checkpointing"]
    flags += ["--epochs_num", "1", "--image_size", "64", "--use_amp16", "--amp_dtype", "bfloat16"]
    finish(start("stage2", tmp_path, dataset, *flags))
    (row,) = history(only_run(tmp_path, "stage2"))
    assert row["loss_texts"] == 0
    assert row["loss_classes"] > 0
    model = only_run(tmp_path, "stage2") / "best_model.pth"
    flags = ["--backbone", "tiny-resnet", "--resume_model", str(model), "--image_size", "64"]
    output = finish(start("evaluation", tmp_path, dataset, *flags, "--json_output", "out.json"))
    (result,) = json.loads((tmp_path / "out.json").read_text())["results"]
    assert result["recall_at"]["1"] == pytest.approx(row["recall_1"], abs=0.051)
    assert "queries: R@1:" in output
