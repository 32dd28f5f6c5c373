"""Prompts that the authors' code pickled, read without running any code from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from progeo_core.errors import DataError

_AUTHORS_CLASS = "cosplace_model.cosplace_network_stage1.PromptLearner"


class AuthorsPromptLearner:
    """Stand-in for the authors' module while their file is read: attributes, no behaviour."""

    _parameters: dict[str, Any]


def read_authors_prompts(path: Path) -> list[Tensor]:
    """Return the prompt vectors [classes, 4, 512] of each group in `prompt_learners.pth`.

    The file is a pickled list of modules; of all classes only theirs is known to the reader, and
    it becomes a plain holder of tensors. Raises `DataError` for anything else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of prompt learners")
    known: list[Any] = [(AuthorsPromptLearner, _AUTHORS_CLASS)]
    try:
        with torch.serialization.safe_globals(known):  # type: ignore[no-untyped-call]
            learners = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the foreign bytes lead it to
        raise DataError(
            f"{path}: refused: damaged, or holds other code than the authors' PromptLearner"
        ) from error
    if not isinstance(learners, list) or not learners:
        raise DataError(f"{path}: not a list of prompt learners")
    return [_prompts(path, learner) for learner in learners]


def _prompts(path: Path, learner: Any) -> Tensor:
    prompts = getattr(learner, "_parameters", {}).get("cls_ctx")
    if not isinstance(prompts, Tensor) or prompts.ndim != 3:
        raise DataError(f"{path}: a prompt learner without cls_ctx [classes, 4, width]")
    return prompts.detach().float()
