import json

import torch

from progeo_core.train.prompts_file import GroupPrompts, save_prompts


def test_classes_and_their_words_are_shown(progeo, tmp_path):
    torch.manual_seed(0)
    embedding = torch.randn(49408, 8)
    torch.save({"token_embedding.weight": embedding}, tmp_path / "best_model.pth")
    class_id = torch.tensor([[0.0, 500_000, 4_000_000, 30], [0, 500_010, 4_000_000, 60]])
    prompts = embedding[torch.arange(320, 328)].reshape(2, 4, 8)
    path = tmp_path / "last_prompt_learners.pth"
    save_prompts([GroupPrompts(class_id, prompts, "middle")], path)
    command = ["model", "prompts", path, "--model", tmp_path / "best_model.pth"]
    document = json.loads(progeo(*command, "--json", "--words", 1).out)
    assert document["groups"] == [2]
    assert document["form"] == "A photo of a X X street X X."
    assert [one["class_id"] for one in document["prompts"]] == class_id.tolist()
    assert all(vector[0]["distance"] < 1e-3 for vector in document["prompts"][0]["vectors"])
    word = document["prompts"][1]["vectors"][3][0]["word"]
    done = progeo(*command, "--classes", 2)
    assert done.code == 0
    assert f"{word} 0.00" in done.out
    assert "A photo of a X X street X X.\n" in done.out
    assert "500010, 4000000, 60" in done.out
    assert "500010" not in progeo(*command, "--classes", 1).out


def test_other_files_are_one_line(progeo, tmp_path):
    torch.save({"epoch_num": 1}, tmp_path / "last_checkpoint.pth")
    done = progeo("model", "prompts", tmp_path / "last_checkpoint.pth")
    assert done.code == 1
    assert "not a file of prompts" in done.error
    assert progeo("model", "prompts", tmp_path / "none.pth").code == 1
