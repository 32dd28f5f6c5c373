from __future__ import annotations

import open_clip
import pytest
import torch
from torch import nn

from progeo_core.errors import UsageError
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.clip_backbone import build_clip
from progeo_core.model.network import build_blank_network
from progeo_core.model.prompt import PromptLearner, prompt_tokens, word_vectors
from progeo_core.model.prompt_form import PromptForm
from progeo_core.model.text_encoder import text_side

SMALL = "ViT-S-32-alt"


FORMS = [PromptForm(), PromptForm(16, "front"), PromptForm(5, "middle"), PromptForm(69, "middle")]


def test_reads_prompts_of_all_forms_as_clip_reads_texts() -> None:
    clip = open_clip.create_model(SMALL).eval()
    with torch.device("meta"):
        blank = text_side(build_clip(SMALL, with_text=True), SMALL)
    text = blank.encoder
    names = text.state_dict().keys()
    state = clip.state_dict()
    text.load_state_dict({name: state[name] for name in names}, assign=True)
    for form in FORMS:
        learner = PromptLearner(clip.token_embedding, 2, form)
        with torch.inference_mode():
            spelled = word_vectors(clip.token_embedding, "X_" * form.n_ctx, form.n_ctx)
            learner.cls_ctx.copy_(spelled.expand(2, -1, -1))
            found = text.eval()(learner(torch.tensor([1])))
            expected = clip.encode_text(prompt_tokens(form))
        assert torch.allclose(found, expected, atol=1e-5), form


def test_words_to_start_from_have_as_many_tokens_as_vectors() -> None:
    embedding = nn.Embedding(49408, 16)
    dock = word_vectors(embedding, "loading dock", 2)
    assert torch.equal(
        dock, embedding(torch.tensor(open_clip.tokenizer.SimpleTokenizer().encode("loading dock")))
    )
    with pytest.raises(UsageError, match=r"'loading_dock' has 2 tokens: give --n_ctx as many"):
        word_vectors(embedding, "loading_dock", 4)


def test_learns_four_vectors_per_class_and_nothing_else() -> None:
    torch.manual_seed(0)
    embedding = nn.Embedding(49408, 16)
    learner = PromptLearner(embedding, classes=50)

    learner(torch.tensor([7, 7, 3])).sum().backward()

    gradient = learner.cls_ctx.grad
    assert gradient is not None
    assert gradient[7].unique().item() == 2
    assert gradient[3].unique().item() == 1
    assert gradient.abs().sum(dim=(1, 2)).count_nonzero() == 2
    assert [name for name, _ in learner.named_parameters()] == ["cls_ctx"]
    assert {name: tuple(value.shape) for name, value in learner.state_dict().items()} == {
        "cls_ctx": (50, 4, 16),
        "token_prefix": (1, 5, 16),
        "token_suffix": (1, 68, 16),
    }
    assert learner.cls_ctx.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("backbone", ["ViT-B-16-SigLIP", "roberta-ViT-B-32"])
def test_refuses_text_towers_of_another_kind(backbone: str) -> None:
    with pytest.raises(UsageError, match="cannot take learned prompts"):
        build_blank_network(Architecture(backbone, Head.TOKEN, 768, with_text=True))
