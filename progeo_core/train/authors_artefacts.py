"""Prompts that the authors' code pickled, read without running any code from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from progeo_core.errors import DataError
from progeo_core.model.restricted_pickle import PickledObject
from progeo_core.model.torch_file import read_torch_file

_AUTHORS_CLASS = "cosplace_model.cosplace_network_stage1.PromptLearner"


def read_authors_prompts(path: Path) -> list[Tensor]:
    """Return the prompt vectors [classes, 4, 512] of each group in `prompt_learners.pth`.

    The file is a pickled list of modules; of all classes only theirs is known to the reader, and
    it becomes a plain holder of tensors. Raises `DataError` for anything else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of prompt learners")
    try:
        learners = read_torch_file(path, _AUTHORS_CLASS)
    except Exception as error:  # damaged bytes may lead anywhere
        raise DataError(
            f"{path}: refused: damaged, or holds other code than the authors' PromptLearner"
        ) from error
    if not isinstance(learners, list) or not learners:
        raise DataError(f"{path}: not a list of prompt learners")
    return [_prompts(path, learner) for learner in learners]


def _prompts(path: Path, learner: Any) -> Tensor:
    state = learner.state if isinstance(learner, PickledObject) else None
    parameters = state.get("_parameters") if isinstance(state, dict) else None
    prompts = parameters.get("cls_ctx") if isinstance(parameters, dict) else None
    if not isinstance(prompts, Tensor) or prompts.ndim != 3:
        raise DataError(f"{path}: a prompt learner without cls_ctx [classes, 4, width]")
    return prompts.detach().float()
