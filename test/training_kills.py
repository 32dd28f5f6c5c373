"""Kills -9 of training at random moments; the next run resumes what the killed one had saved.

A process that has imported everything forks the runs, so that kills meet their work and not
Python's start.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.train.checkpoint import load_checkpoint
from test.map_kills import Kill

# A run is killed this long (s) after its start, or after its first sign, at the latest.
LIFE_S, PATIENCE_S = 2.0, 280.0
_POLL_S = 0.02
_FLAGS = """--N 2 --L 1 --groups_num 2 --num_workers 0 --seed 3 --device cpu --batch_size_stage1 20
--epochs_num_stage1 100000 --batch_size 4 --iterations_per_epoch 4 --epochs_num 100000
--image_size 48 --infer_batch_size 16 --positive_dist_threshold 5 --backbone tiny-vit
--pretrained none --fc_output_dim 16 --without_prompts""".split()  # noqa: SIM905
_IMPORTS = ("torch", "progeo_core.train.command", "test.progeo_core.train.tiny_run")


class Stage(NamedTuple):
    """Stage of training: flag that resumes a run folder, and the epochs that one has saved."""

    resume: Callable[[Path], list[str]]
    epochs: Callable[[Path], int]


class TrainingKills:
    """Kills of one stage, each run resuming the one before, in an empty folder."""

    def __init__(self, name: str, dataset: Path, folder: Path) -> None:
        """Take a data set with train/ and val/."""
        self._name, self._stage, self._folder = name, STAGES[name], folder
        sets = [f"--train_set_folder={dataset / 'train'}", f"--val_set_folder={dataset / 'val'}"]
        self._flags = [*_FLAGS, *sets]
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(list(_IMPORTS))

    def kill(self, rng: np.random.Generator) -> Kill:
        """Resume what is saved, kill that at a random moment, and look what is saved then.

        The first run is killed after its first epoch, so that there is something to lose, and every
        other one once it has a folder: on a slow machine it would not get far otherwise.
        """
        (self._folder / "killed").mkdir(exist_ok=True)
        runs = _runs(self._folder / "killed", self._name)
        resumed = self._newest(runs)
        run = self._start(self._folder / "killed", resumed)
        if resumed is None:
            self._wait(self._folder / "killed", run, 1)
        elif rng.random() < 0.5:
            self._wait_for_folder(self._folder / "killed", run, runs)
        run.join(rng.uniform(0.0, LIFE_S))
        assert run.exitcode is None, "the run ended by itself"
        acknowledged = self._saved(self._folder / "killed")
        run.kill()
        run.join()
        saved = self._saved(self._folder / "killed")
        begun = _runs(self._folder / "killed", self._name)
        # Where the new run got as far as its folder, those before are tidy.
        left = [path.name for run in begun[:-1] for path in run.rglob("*") if _is_left(path)]
        return Kill(acknowledged, max(0, acknowledged - saved), tuple(sorted(left)))

    def check_history(self) -> int:
        """Compare the losses of all epochs with those of a run that nothing broke; count them."""
        killed = self._history(self._folder / "killed")
        whole = self._folder / "whole"
        whole.mkdir()
        run = self._start(whole, None)
        self._wait(whole, run, len(killed))
        run.kill()
        run.join()
        assert self._history(whole)[: len(killed)] == killed
        return len(killed)

    def _wait(
        self, folder: Path, run: multiprocessing.context.ForkServerProcess, epochs: int
    ) -> None:
        """Return as soon as so many epochs are saved."""
        self._wait_until(lambda: self._saved(folder) >= epochs, folder, run)

    def _wait_for_folder(
        self, folder: Path, run: multiprocessing.context.ForkServerProcess, runs: list[Path]
    ) -> None:
        """Return as soon as there is a run folder besides these, of which it removes some."""
        self._wait_until(lambda: not {*_runs(folder, self._name)} <= {*runs}, folder, run)

    def _wait_until(
        self,
        done: Callable[[], bool],
        folder: Path,
        run: multiprocessing.context.ForkServerProcess,
    ) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert run.exitcode is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline, "the run saves nothing"
            time.sleep(_POLL_S)

    def _start(
        self, folder: Path, resumed: Path | None
    ) -> multiprocessing.context.ForkServerProcess:
        resume = [] if resumed is None else self._stage.resume(resumed)
        arguments = (folder, self._name, [*self._flags, *resume])
        run = self._processes.Process(target=_train, args=arguments)
        run.start()
        return run

    def _newest(self, runs: list[Path]) -> Path | None:
        """Return the newest run that has saved all that a resume needs."""
        return next((run for run in reversed(runs) if self._stage.epochs(run)), None)

    def _saved(self, folder: Path) -> int:
        """Return how many epochs are saved; raises where a file is torn."""
        return max(map(self._stage.epochs, _runs(folder, self._name)), default=0)

    def _history(self, folder: Path) -> list[dict[str, float]]:
        newest = self._newest(_runs(folder, self._name))
        assert newest is not None
        rows: list[dict[str, float]] = json.loads((newest / "history.json").read_text())
        return rows[: self._stage.epochs(newest)]


def _train(folder: Path, stage: str, arguments: list[str]) -> None:
    import torch

    from progeo_core.train.command import run
    from test.progeo_core.train.tiny_run import register_models

    os.chdir(folder)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    register_models()
    run("Run a stage with a tiny model.", (stage,), arguments)


def _runs(folder: Path, stage: str) -> list[Path]:
    return sorted((folder / "logs" / "default" / stage).glob("*"))


def _is_left(path: Path) -> bool:
    return path.name.endswith(("-new", ".partial")) or path.name == "validation"


def _epochs_of_stage1(run: Path) -> int:
    groups = [run / "groups" / f"group_{number}.pth" for number in range(2)]
    if not all(group.is_file() for group in groups):
        return 0
    return sum(len(load_checkpoint(group)["losses"]) for group in groups)


def _epochs_of_stage2(run: Path) -> int:
    last, best = run / "last_checkpoint.pth", run / "best_model.pth"
    if not last.is_file():
        return 0
    assert load_checkpoint(best)
    return int(load_checkpoint(last)["epoch_num"])


STAGES = {
    "stage1": Stage(lambda run: ["--resume_train_stage1", str(run)], _epochs_of_stage1),
    "stage2": Stage(
        lambda run: ["--resume_train", str(run / "last_checkpoint.pth")], _epochs_of_stage2
    ),
}
