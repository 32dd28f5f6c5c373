import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from progeo_core.dataset.place_classes import PlaceClassSettings, PlaceGroup, group_places
from progeo_core.errors import DataError
from progeo_core.model.prompt_form import END, MIDDLE, PromptForm
from progeo_core.train.checkpoint import save_checkpoint
from progeo_core.train.prompts_file import GroupPrompts, load_prompts, save_prompts


@pytest.fixture
def groups() -> tuple[PlaceGroup, ...]:
    east = np.repeat(np.arange(8) * 10.0, 3)
    settings = PlaceClassSettings(N=2, L=1, groups_num=2, min_images_per_class=3)
    return group_places(east, 0 * east, 0 * east, 0, settings)


@pytest.fixture
def saved(groups: tuple[PlaceGroup, ...], tmp_path: Path) -> tuple[Path, list[GroupPrompts]]:
    prompts = [
        GroupPrompts(torch.from_numpy(group.class_id), torch.randn(len(group), 4, 8))
        for group in groups
    ]
    save_prompts(prompts, tmp_path / "prompts.pth")
    return tmp_path / "prompts.pth", prompts


def test_prompts_come_back_with_their_groups(
    groups: tuple[PlaceGroup, ...], saved: tuple[Path, list[GroupPrompts]]
) -> None:
    path, prompts = saved
    loaded = load_prompts(path, groups, 8)
    assert len(loaded) == 2
    for one, two in zip(loaded, prompts, strict=True):
        assert torch.equal(one.prompts, two.prompts)
    # Stage 2 may train on fewer groups than stage 1 did, and earlier files order them otherwise.
    (second,) = load_prompts(path, groups[1:], 8)
    assert torch.equal(second.prompts, prompts[1].prompts)


def test_a_file_says_the_form_of_its_prompts_and_older_ones_need_not(
    groups: tuple[PlaceGroup, ...], tmp_path: Path
) -> None:
    path, group = tmp_path / "prompts.pth", groups[0]
    stored = {
        "class_id": torch.from_numpy(group.class_id),
        "prompts": torch.zeros(len(group), 7, 8),
    }
    save_prompts([GroupPrompts(**stored, class_token_position=MIDDLE)], path)
    assert load_prompts(path, [group], 8)[0].form == PromptForm(7, MIDDLE)
    for more, form in (({}, PromptForm(7, END)), ({"class_token_position": "top"}, None)):
        save_checkpoint({"kind": "progeo prompts", "groups": [{**stored, **more}]}, path)
        if form is None:
            with pytest.raises(DataError, match="the word of a class stands nowhere"):
                load_prompts(path, [group], 8)
        else:
            assert load_prompts(path, [group], 8)[0].form == form


def test_prompts_of_other_classes_or_too_few_groups_are_refused(
    groups: tuple[PlaceGroup, ...], saved: tuple[Path, list[GroupPrompts]], tmp_path: Path
) -> None:
    _, prompts = saved
    save_prompts(prompts[:1], tmp_path / "one.pth")
    with pytest.raises(DataError, match=r"one.pth: prompts of other classes; use the images and"):
        load_prompts(tmp_path / "one.pth", groups, 8)


def test_other_files_are_refused(groups: tuple[PlaceGroup, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.pth: no such checkpoint"):
        load_prompts(tmp_path / "none.pth", groups, 8)
    save_checkpoint({"epoch_num": 1}, tmp_path / "last_checkpoint.pth")
    with pytest.raises(DataError, match=r"not a file of prompts; give last_prompt_learners.pth"):
        load_prompts(tmp_path / "last_checkpoint.pth", groups, 8)


def test_the_authors_prompts_are_told_apart(
    groups: tuple[PlaceGroup, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "cosplace_model.cosplace_network_stage1"

    class PromptLearner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cls_ctx = nn.Parameter(torch.randn(3, 4, 8))

    PromptLearner.__module__, PromptLearner.__qualname__ = name, "PromptLearner"
    module = types.ModuleType(name)
    monkeypatch.setattr(module, "PromptLearner", PromptLearner, raising=False)
    monkeypatch.setitem(sys.modules, "cosplace_model", types.ModuleType("cosplace_model"))
    monkeypatch.setitem(sys.modules, name, module)
    torch.save([PromptLearner(), PromptLearner()], tmp_path / "prompt_learners.pth")
    with pytest.raises(DataError, match=r"the authors' prompts of 2 groups.*: run stage 1"):
        load_prompts(tmp_path / "prompt_learners.pth", groups, 8)


@pytest.mark.parametrize(
    "stored", [None, 3, [3], [{}], [{"class_id": 1, "prompts": 2}], [{"prompts": torch.zeros(3)}]]
)
def test_what_the_groups_cannot_be_is_refused(
    groups: tuple[PlaceGroup, ...], tmp_path: Path, stored: object
) -> None:
    path = tmp_path / "odd.pth"
    save_checkpoint({"kind": "progeo prompts", "groups": stored}, path)
    with pytest.raises(DataError, match=r"odd.pth: damaged, or not a file of prompts"):
        load_prompts(path, groups, 8)


@pytest.mark.parametrize("shape", [(1, 4, 8), (2, 8), (2, 0, 8), (2, 70, 8), (2, 4, 0), (2, 4, 16)])
def test_prompts_of_another_shape_or_model_are_refused(
    groups: tuple[PlaceGroup, ...], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "odd.pth"
    save_prompts([GroupPrompts(torch.from_numpy(groups[0].class_id), torch.zeros(shape))], path)
    with pytest.raises(DataError, match=r"odd.pth: prompts of shape .* use the --backbone of"):
        load_prompts(path, groups[:1], 8)
