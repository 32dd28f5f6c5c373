import dataclasses
from pathlib import Path

import pytest
import torch

from progeo_core.errors import ProgeoError, UsageError
from progeo_core.model.prompt_form import PromptForm
from progeo_core.train.checkpoint import save_checkpoint
from progeo_core.train.clip_towers import ClipTowers, load_towers
from progeo_core.train.options import read_options
from progeo_core.train.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("tiny_models")


def settings_of(backbone: str, *flags: str) -> TrainingSettings:
    image_size = {"tiny-vit": "48", "tiny-resnet": "64"}[backbone]
    fixed = ["--pretrained", "none", "--fc_output_dim", "16", "--image_size", image_size]
    return read_options("Test.", [*fixed, "--backbone", backbone, *flags])


def towers_of(backbone: str, stage: str, *flags: str) -> ClipTowers:
    return load_towers(settings_of(backbone, *flags), stage)


def test_prompts_are_small_and_have_texts_of_their_own() -> None:
    towers = towers_of("tiny-vit", "stage1")
    prompts = towers.initial_prompts(200, 4)
    assert prompts.shape == (200, 4, 16)
    assert prompts.std().item() == pytest.approx(0.02, rel=0.1)
    form = PromptForm()
    texts = towers.text_features(prompts[:2], form)
    assert texts.shape == (2, 16)
    assert not torch.allclose(texts[0], texts[1])
    torch.testing.assert_close(towers.text_features(prompts[:1], form)[0], texts[0])
    elsewhere = towers.text_features(prompts[:2], PromptForm(4, "front"))
    assert not torch.allclose(elsewhere, texts)
    words = towers.initial_prompts(2, 3, "a_loading dock")
    assert torch.equal(words[0], words[1])
    assert towers.text_features(words, PromptForm(3, "middle")).shape == (2, 16)


def test_gradients_reach_the_prompts_and_no_weight_of_stage_1() -> None:
    towers = towers_of("tiny-vit", "stage1")
    prompts = towers.initial_prompts(2, 4).requires_grad_()
    towers.text_features(prompts, PromptForm()).sum().backward()
    assert prompts.grad is not None
    assert prompts.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in towers.network.parameters())


@pytest.mark.parametrize(
    ("backbone", "flags", "frozen", "trained"),
    [
        ("tiny-vit", ("--freeze_trans", "1"), "resblocks.0.", "resblocks.1."),
        ("tiny-resnet", (), "layer2.", "layer3."),
    ],
)
def test_stage_2_trains_what_the_flags_leave_free(
    backbone: str, flags: tuple[str, ...], frozen: str, trained: str
) -> None:
    def learns(name: str, *more: str) -> set[bool]:
        towers = towers_of(backbone, "stage2", *flags, *more)
        parameters = towers.network.named_parameters()
        return {
            one.requires_grad
            for key, one in parameters
            if key.startswith("backbone") and f".{name}" in key
        }

    assert learns(frozen) == {False}
    assert learns(trained) == {True}
    assert learns(frozen, "--train_all_layers") == {True}
    evaluated = towers_of(backbone, "evaluation").network
    assert not any(parameter.requires_grad for parameter in evaluated.parameters())


def test_the_seed_decides_random_weights_and_the_identity_follows_them() -> None:
    first, same, other = (
        towers_of("tiny-resnet", "evaluation", "--seed", seed) for seed in ("1", "1", "2")
    )
    assert first.identity == same.identity != other.identity


def test_weights_of_another_activation_are_refused_with_the_fix() -> None:
    settings = read_options("Test.", ["--backbone", "ViT-B-32", "--pretrained", "openai"])
    with pytest.raises(UsageError, match=r"QuickGELU.*; give --backbone ViT-B-32-quickgelu$"):
        load_towers(settings, "stage2")


@pytest.mark.parametrize("backbone", ["tiny-vit", "tiny-resnet"])
def test_a_resumed_model_describes_as_before(backbone: str, tmp_path: Path) -> None:
    trained = towers_of(backbone, "stage2", "--seed", "5")
    save_checkpoint(trained.network.state_dict(), tmp_path / "best_model.pth")
    flags = ("--resume_model", str(tmp_path / "best_model.pth"))
    size = trained.image_size
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        expected = trained.network.eval()(images)
        again = towers_of(backbone, "evaluation", *flags).network.eval()(images)
    torch.testing.assert_close(again, expected)


def test_a_network_without_prompts_has_no_text_side() -> None:
    towers = towers_of("tiny-vit", "stage2", "--without_prompts")
    with pytest.raises(ValueError, match="without its text side"):
        towers.initial_prompts(2, 4)


def test_a_descriptor_length_other_than_the_texts_is_refused() -> None:
    settings = settings_of("tiny-vit")
    network = dataclasses.replace(settings.network, fc_output_dim=8)
    with pytest.raises(ProgeoError, match="16-D descriptors, not 8-D"):
        load_towers(dataclasses.replace(settings, network=network), "stage2")
