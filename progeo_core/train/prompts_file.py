"""The file between the stages: learned prompts and the classes that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import DataError
from progeo_core.model.prompt_form import END, FRONT, MAX_VECTORS, MIDDLE, PromptForm
from progeo_core.train.authors_artefacts import read_authors_prompts
from progeo_core.train.checkpoint import content_of, load_checkpoint, save_checkpoint

_KIND = "progeo prompts"
# Numbers that name a class.
_CLASS_ID = 4


class GroupPrompts(NamedTuple):
    """Prompts [classes, n, width] of one group and its class ids [classes, 4].

    class_token_position: see `PromptForm`; older files and the authors' do not say it.
    """

    class_id: Tensor
    prompts: Tensor
    class_token_position: str = END

    @property
    def form(self) -> PromptForm:
        """Return the form of the prompts."""
        return PromptForm(self.prompts.shape[1], self.class_token_position)


def save_prompts(groups: Sequence[GroupPrompts], path: Path) -> None:
    """Write the prompts of all groups, all or nothing."""
    save_checkpoint({"kind": _KIND, "groups": [group._asdict() for group in groups]}, path)


def load_prompts(path: Path, groups: Sequence[PlaceGroup], width: int) -> list[GroupPrompts]:
    """Return the prompts of each group, in the order of its classes.

    width: of a token of this model. Raises `DataError` for prompts of other classes or of another
    width, and for the authors' own files: those do not say which class a prompt belongs to.
    """
    stored = read_prompts(path)
    if not all(len(group.class_id) for group in stored):
        raise DataError(
            f"{path}: the authors' prompts of {len(stored)} groups do not say which class each"
            " belongs to, so they cannot be used here: run stage 1"
        )
    return [_prompts_of(group, stored, path, width) for group in groups]


def read_prompts(path: Path) -> list[GroupPrompts]:
    """Return the prompts of all groups of a file of stage 1, ours or the authors'.

    The authors' do not say which class a prompt belongs to: their class ids are empty, [0, 4].
    Raises `DataError` for any other file.
    """
    try:
        content = load_checkpoint(path)
    except DataError:
        if not path.is_file():
            raise
        unknown = torch.empty((0, _CLASS_ID), dtype=torch.int64)
        return [GroupPrompts(unknown, prompts) for prompts in read_authors_prompts(path)]
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise DataError(f"{path}: not a file of prompts; give last_prompt_learners.pth of stage 1")
    with content_of(path, "a file of prompts"):
        groups = [GroupPrompts(**group) for group in content["groups"]]
        if not all(isinstance(value, Tensor) for one in groups for value in one[:2]):
            raise TypeError("a group is no tensors")
        if not {one.class_token_position for one in groups} <= {END, MIDDLE, FRONT}:
            raise ValueError("the word of a class stands nowhere")
        return groups


def _prompts_of(
    group: PlaceGroup, stored: Sequence[GroupPrompts], path: Path, width: int
) -> GroupPrompts:
    """Return the prompts of one group, wherever in the file they are."""
    class_id = torch.from_numpy(group.class_id)
    found = next((one for one in stored if torch.equal(one.class_id, class_id)), None)
    if found is None:
        raise DataError(
            f"{path}: prompts of other classes; use the images and the --M, --alpha, --N, --L,"
            " --groups_num and --min_images_per_class of their stage 1"
        )
    shape = list(found.prompts.shape)
    if shape[:1] + shape[2:] != [len(class_id), width] or not 0 < shape[1] <= MAX_VECTORS:
        raise DataError(
            f"{path}: prompts of shape {shape} where this model takes [{len(class_id)}, n, {width}]"
            f" with n from 1 to {MAX_VECTORS}; use the --backbone of their stage 1"
        )
    return found
