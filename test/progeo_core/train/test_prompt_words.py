from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch

from progeo_core.errors import DataError, UsageError
from progeo_core.train.prompt_words import nearest_words, read_word_embedding, write_words
from progeo_core.train.prompts_file import GroupPrompts, save_prompts

VOCABULARY = 49408


def test_a_vector_beside_a_word_is_that_word(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedding = torch.randn(VOCABULARY, 8)
    torch.save({"token_embedding.weight": embedding}, tmp_path / "best_model.pth")
    read = read_word_embedding(str(tmp_path / "best_model.pth"))
    said = ["yellow", "gate", "dock", "🏠"]
    tokens = open_clip.tokenize([" ".join(said)])[0, 1:5]
    prompt = embedding[tokens] + 0.01
    ((*vectors,),) = nearest_words(prompt[None], read, 2)
    assert [vector[0].word for vector in vectors] == said
    assert vectors[0][0].distance == pytest.approx(0.01 * 8**0.5, rel=1e-2)
    assert vectors[0][1].distance > vectors[0][0].distance


def test_other_widths_and_files_without_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the shape \[1, 4, 8\] and the words of the model 16"):
        nearest_words(torch.randn(1, 4, 8), torch.randn(VOCABULARY, 16), 1)
    torch.save({"backbone.conv1.weight": torch.ones(1)}, tmp_path / "visual.pth")
    with pytest.raises(DataError, match=r"visual\.pth: holds no words"):
        read_word_embedding(str(tmp_path / "visual.pth"))
    with pytest.raises(DataError, match="mobilenetv2-gem"):
        read_word_embedding(str(Path(__file__).parents[3] / "progeo_core/models/mobilenetv2-gem"))


def test_the_words_of_a_run_are_kept_where_they_are_those_of_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedding = torch.randn(VOCABULARY, 8)
    learned = embedding[:48].reshape(12, 4, 8)
    classes = torch.arange(48).reshape(12, 4)
    save_prompts([GroupPrompts(classes, learned)], tmp_path / "prompts.pth")
    path = tmp_path / "words.json"
    write_words(tmp_path / "prompts.pth", {}, path)
    write_words(tmp_path / "prompts.pth", {"token_embedding.weight": embedding[:90]}, path)
    assert not path.exists()
    write_words(tmp_path / "prompts.pth", {"token_embedding.weight": embedding}, path)
    first, *others = json.loads(path.read_text())["prompts"]
    assert (first["class_id"], len(others)) == ([0, 1, 2, 3], 4)
    assert [vector[0]["distance"] for vector in first["vectors"]] == pytest.approx([0.0] * 4)
