import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from progeo_core.errors import DataError
from progeo_core.train.authors_artefacts import read_authors_prompts

MODULE = "cosplace_model.cosplace_network_stage1"


@pytest.fixture
def authors_class() -> Iterator[type[nn.Module]]:
    """Return a class that pickles as the authors' PromptLearner; unknown to the reader."""

    class PromptLearner(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.cls_ctx = nn.Parameter(torch.randn(classes, 4, 512))
            self.register_buffer("token_prefix", torch.randn(1, 5, 512))
            self.register_buffer("token_suffix", torch.randn(1, 68, 512))
            self.num_class = classes
            self.n_cls_ctx = 4
            self.dtype = torch.float32

    package, module = types.ModuleType("cosplace_model"), types.ModuleType(MODULE)
    PromptLearner.__module__, PromptLearner.__qualname__ = MODULE, "PromptLearner"
    vars(module)["PromptLearner"] = PromptLearner
    sys.modules.update({"cosplace_model": package, MODULE: module})
    yield PromptLearner
    for name in ("cosplace_model", MODULE):
        del sys.modules[name]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before zip"])
def test_prompts_of_each_group(
    authors_class: type[nn.Module], tmp_path: Path, is_zip: bool
) -> None:
    learners = [authors_class(3), authors_class(5)]
    path = tmp_path / "prompt_learners.pth"
    torch.save(learners, path, _use_new_zipfile_serialization=is_zip)
    prompts = read_authors_prompts(path)
    assert [tuple(group.shape) for group in prompts] == [(3, 4, 512), (5, 4, 512)]
    assert torch.equal(prompts[1], learners[1].get_parameter("cls_ctx"))


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, target = tmp_path / "prompt_learners.pth", tmp_path / "ran"
    torch.save([Evil(target)], path)
    with pytest.raises(DataError, match="holds other code than the authors'"):
        read_authors_prompts(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [[nn.Linear(2, 2)], ["text"], {"a": 1}, []])
def test_anything_else_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "prompt_learners.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"prompt_learners.pth: "):
        read_authors_prompts(path)
