"""What the scripts of `training/` do: read options, load the model, run stages, report errors."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import sys
from collections.abc import Sequence

from rich.logging import RichHandler

from progeo_core.errors import ProgeoError, UsageError
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.descriptors import Describer
from progeo_core.train.encoder_describer import load_describer
from progeo_core.train.options import read_options
from progeo_core.train.processes import Processes, start_processes
from progeo_core.train.run_folder import create_run_folder
from progeo_core.train.runs import (
    check_folders,
    run_evaluation,
    run_stage1,
    run_stage2,
    whole_image_describer,
)
from progeo_core.train.settings import TrainingSettings


def run(description: str, stages: Sequence[str], arguments: Sequence[str] | None = None) -> None:
    """Run "stage1", "stage2" or "evaluation", one after another, with flags from a command line.

    An error is one line on stderr; the exit code is 2 for bad use and 1 for a failed run.
    """
    settings = read_options(description, arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler()])
    try:
        with start_processes(settings.run.device) as where:
            settings = _with_seed(settings, where)
            where.from_main(lambda: check_folders(settings, stages))
            for stage in stages:
                settings = _run(stage, settings, where)
    except ProgeoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # of whatever the run reads or writes besides what is checked
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {place}{error.strerror or error}; earlier files are unchanged: fix this"
            " and resume from the last checkpoint",
            file=sys.stderr,
        )
        sys.exit(1)


def _with_seed(settings: TrainingSettings, where: Processes) -> TrainingSettings:
    """Return the settings with a drawn seed in place of -1, the same in all processes."""
    if settings.run.seed >= 0:
        return settings
    seed = where.from_main(lambda: secrets.randbelow(2**31))
    return dataclasses.replace(settings, run=dataclasses.replace(settings.run, seed=seed))


def _run(stage: str, settings: TrainingSettings, where: Processes) -> TrainingSettings:
    """Run one stage; return the settings of the next, which takes up the prompts of stage 1."""
    if settings.evaluation.model:
        if stage != "evaluation":
            raise UsageError("--model is evaluated, not trained: give --backbone and --pretrained")
        _evaluate(settings, load_describer(settings.evaluation, where.device), where)
        return settings
    towers = load_towers(settings, stage)
    if stage == "stage1":
        prompts = run_stage1(settings, towers, where)
        stage2 = dataclasses.replace(settings.stage2, prompt_learners=str(prompts))
        return dataclasses.replace(settings, stage2=stage2)
    if stage == "stage2":
        run_stage2(settings, towers, where)
    else:
        _evaluate(settings, whole_image_describer(settings, towers, where), where)
    return settings


def _evaluate(settings: TrainingSettings, describer: Describer, where: Processes) -> None:
    folder = where.from_main(lambda: create_run_folder(settings, "evaluation"))
    run_evaluation(settings, describer, where, folder)
