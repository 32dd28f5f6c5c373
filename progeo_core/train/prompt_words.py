"""Words nearest to learned prompts: what stage 1 would say of a place, if it could.

Zhou, Yang, Loy, Liu 2022, "Learning to Prompt for Vision-Language Models", section 3.5: learned
vectors need not be near any word, so the distances are part of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from progeo_core.errors import DataError, UsageError
from progeo_core.model.model_folder import read_model
from progeo_core.model.named_backbone import name_backbone
from progeo_core.model.pretrained import default_pretrained, pretrained_state
from progeo_core.model.stored_model import is_model_folder
from progeo_core.model.weights import State, read_state, to_network_names
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.prompts_file import GroupPrompts, read_prompts

_EMBEDDING = "token_embedding.weight"
# The last tokens of CLIP are those of the start and the end of a text.
_NO_WORDS = 2
# Tokens of CLIP. Of each group of a run, the words of so many classes are kept.
_VOCABULARY = 49_408
_CLASSES, _WORDS = 5, 3


class NearWord(NamedTuple):
    """Word of CLIP's vocabulary, and its distance from a learned vector."""

    word: str
    distance: float


def nearest_words(prompts: Tensor, embedding: Tensor, count: int) -> list[list[list[NearWord]]]:
    """Return the `count` nearest words of each vector of prompts [n, t, W], nearest first.

    embedding: [v, W] of all tokens. Distances are Euclidean, as in CoOp. Raises `UsageError` for
    prompts of another width than the words.
    """
    if prompts.ndim != 3 or prompts.shape[2] != embedding.shape[1]:
        raise UsageError(
            f"the prompts have the shape {list(prompts.shape)} and the words of the model"
            f" {embedding.shape[1]} values each: name the model that they were learned with"
        )
    import open_clip

    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    vocabulary = embedding[: len(embedding) - _NO_WORDS].float()
    distances = torch.cdist(prompts.float().flatten(0, 1), vocabulary)
    found = distances.topk(min(count, len(vocabulary)), largest=False)
    near = [
        [
            NearWord(tokenizer.decode([token]).strip(), distance)
            for token, distance in zip(tokens, own, strict=True)
        ]
        for tokens, own in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    ]
    length = prompts.shape[1]
    return [near[start : start + length] for start in range(0, len(near), length)]


class ClassWords(NamedTuple):
    """Words nearest to the prompt of one class; class_id: UTM zone, east (m), north (m), heading.

    class_id: None where it is unknown. vectors: of each, its nearest words.
    """

    group: int
    class_id: list[float] | None
    vectors: list[list[NearWord]]

    def to_json(self) -> dict[str, Any]:
        """Return the documented keys."""
        vectors = [[near._asdict() for near in vector] for vector in self.vectors]
        return {"group": self.group, "class_id": self.class_id, "vectors": vectors}


def words_of_classes(
    groups: Sequence[GroupPrompts], embedding: Tensor, classes: int, words: int
) -> list[ClassWords]:
    """Return the nearest words of the first classes of each group, as `nearest_words` does."""
    shown = []
    for number, (class_id, learned, _) in enumerate(groups):
        named = class_id.tolist() if len(class_id) else [None] * len(learned)
        found = nearest_words(learned[:classes], embedding, words)
        shown += [ClassWords(number, *pair) for pair in zip(named, found, strict=False)]
    return shown


def write_words(prompts: Path, network: State, path: Path) -> None:
    """Write the nearest words of some learned classes as JSON, unless the words are not CLIP's.

    prompts: their file. network: weights, the text side among them.
    """
    embedding = network.get(_EMBEDDING)
    if embedding is None or len(embedding) != _VOCABULARY:
        return
    found = words_of_classes(read_prompts(prompts), embedding.cpu(), _CLASSES, _WORDS)
    content = {"schema": 1, "prompts": [one.to_json() for one in found]}
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())


def read_word_embedding(model: str) -> Tensor:
    """Return the embeddings [v, W] of the words of a model.

    model: a checkpoint (best_model.pth), a model folder with its text side, or a backbone as
    "NAME[:PRETRAINED]" or "hf:FOLDER". Raises `DataError` for a file that is none, or holds no
    words, and `UsageError` for an unknown name.
    """
    state = _state(model)
    if _EMBEDDING not in state:
        raise DataError(
            f"{model}: holds no words; name the best_model.pth of the training, a model imported"
            " --with-text, or a backbone such as CLIP-RN50:openai"
        )
    return state[_EMBEDDING]


def _state(model: str) -> State:
    path = Path(model).expanduser()
    if path.is_file():
        return to_network_names(read_state(path))
    if is_model_folder(path):
        return read_model(path, with_text=True).state
    named = name_backbone(model)
    pretrained = named.pretrained or default_pretrained(named.backbone)
    return pretrained_state(named.backbone, pretrained)
