from __future__ import annotations

from progeo_core.model.prompt_form import FRONT, MIDDLE, PromptForm


def test_says_what_the_prompt_is() -> None:
    assert str(PromptForm()) == "A photo of a X X X X street."
    assert str(PromptForm(5, MIDDLE)) == "A photo of a X X street X X X."
    assert str(PromptForm(2, FRONT)) == "A photo of a street X X."
    assert PromptForm(2, FRONT).flags == "--n_ctx 2 --class_token_position front"
