"""Model folders, checkpoints, the files of training, and what is remembered of runtimes."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from torch import nn

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import ProgeoError
from progeo_core.inference.runtime import Variant
from progeo_core.inference.runtime_memory import Remembered, RuntimeMemory
from progeo_core.model.model_folder import load_model
from progeo_core.model.model_info import describe_model
from progeo_core.model.named_model import load_named_model
from progeo_core.model.stored_model import CARD_FILE, WEIGHTS_FILE, find_model_folder
from progeo_core.model.weights import read_state, sha256_of, to_network_names
from progeo_core.records.image_list import ImageList
from progeo_core.train.authors_artefacts import read_authors_prompts
from progeo_core.train.checkpoint import load_checkpoint
from progeo_core.train.descriptors import Describer, cached_descriptors
from progeo_core.train.processes import Processes
from progeo_core.train.prompts_file import GroupPrompts, load_prompts, save_prompts
from progeo_core.train.settings import RunSettings, Stage2Settings, TrainingSettings
from progeo_core.train.stage2 import EncoderTraining, GroupTask
from test.fuzz.image_kinds import encoded
from test.fuzz.kind import Kind, RefusedError
from test.fuzz.mutation import mutate, mutate_start, mutate_text

_ALONE = Processes(0, 1, torch.device("cpu"))
_AUTHORS_MODULE = "cosplace_model.cosplace_network_stage1"
_SHIPPED = "mobilenetv2-gem"
_ODD: tuple[Any, ...] = (
    *(None, 0, -1, 1e308, float("nan"), 2**62, 2**200, "", "text", b"", True, (), [], {}, [[]]),
    *(torch.zeros(0), torch.tensor(float("nan")), torch.zeros(3, dtype=torch.int64)),
)


class _Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.norm(self.backbone(rows))  # type: ignore[no-any-return]


def _tiny() -> _Tiny:
    torch.manual_seed(0)
    return _Tiny()


def _saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(_tiny()), buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _change_zip(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change the file, or one of its entries with all else about it right."""
    if rng.random() < 0.4 or not zipfile.is_zipfile(io.BytesIO(seed)):
        return mutate(seed, rng, others)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as old, zipfile.ZipFile(changed, "w") as new:
        names = old.namelist()
        pickles = [name for name in names if name.endswith(".pkl")]
        target = rng.choice(pickles if rng.random() < 0.7 else names)
        for name in names:
            data = old.read(name)
            new.writestr(name, mutate(data, rng, [data]) if name == target else data)
    return changed.getvalue()


def _read_checkpoint(data: bytes, folder: Path) -> None:
    _read_weights(folder / "checkpoint.pth", data)


def _read_safetensors(data: bytes, folder: Path) -> None:
    _read_weights(folder / "checkpoint.safetensors", data)


def _read_weights(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    state = to_network_names(read_state(path))
    assert all(isinstance(name, str) for name in state)
    sha256_of(state)
    with contextlib.suppress(ProgeoError):  # these are the weights of no network
        describe_model(str(path))


@functools.cache
def _shipped() -> Path:
    folder = find_model_folder(_SHIPPED)
    assert folder is not None
    return folder


def _read_card(data: bytes, folder: Path) -> None:
    os.symlink(_shipped() / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    (folder / CARD_FILE).write_bytes(data)
    fingerprint = load_model(folder).card.fingerprint
    assert isinstance(fingerprint.name, str)
    assert fingerprint.dimension > 0


def _read_folder_weights(data: bytes, folder: Path) -> None:
    (folder / CARD_FILE).write_bytes((_shipped() / CARD_FILE).read_bytes())
    (folder / WEIGHTS_FILE).write_bytes(data)
    model = load_named_model(str(folder))
    assert all(torch.isfinite(one).all() for one in model.network.state_dict().values())


@functools.cache
def _authors_prompts() -> bytes:
    class PromptLearner(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.cls_ctx = nn.Parameter(torch.zeros(classes, 4, 8))
            self.register_buffer("token_prefix", torch.zeros(1, 5, 8))

    PromptLearner.__module__, PromptLearner.__qualname__ = _AUTHORS_MODULE, "PromptLearner"
    module = types.ModuleType(_AUTHORS_MODULE)
    vars(module)["PromptLearner"] = PromptLearner
    package = types.ModuleType("cosplace_model")
    with mock.patch.dict(sys.modules, {"cosplace_model": package, _AUTHORS_MODULE: module}):
        return _saved([PromptLearner(3), PromptLearner(5)])


def _read_authors_prompts(data: bytes, folder: Path) -> None:
    path = folder / "prompt_learners.pth"
    path.write_bytes(data)
    assert all(prompts.ndim == 3 for prompts in read_authors_prompts(path))


def _group(number: int) -> PlaceGroup:
    class_id = np.arange(8.0).reshape(2, 4) + 8.0 * number
    return PlaceGroup((number, 0, 0), class_id, np.arange(4), np.array([0, 2, 4]))


def _prompts() -> Any:
    return GroupPrompts(torch.from_numpy(_group(0).class_id), torch.zeros(2, 4, 8))


def _read_prompts(data: bytes, folder: Path) -> None:
    path = folder / "last_prompt_learners.pth"
    path.write_bytes(data)
    assert [one.prompts.shape for one in load_prompts(path, [_group(0)], 8)] == [(2, 4, 8)]


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.pth")
        write(path)
        return path.read_bytes()


def _training() -> EncoderTraining:
    torch.manual_seed(0)
    task = GroupTask(_group(0), 3, torch.zeros(2, 3))
    settings = TrainingSettings(stage2=Stage2Settings(), run=RunSettings(num_workers=0))
    return EncoderTraining(_tiny(), [task], ImageList(Path(), []), settings, _ALONE)


def _training_state() -> bytes:
    training = _training()
    return _saved(training.state([{"epoch": 0.0, "loss": 1.0}]))


def _change_training(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change the file, or what it holds: keys that lack, values of other types and shapes."""
    if rng.random() < 0.3:
        return _change_zip(seed, rng, others)
    content: Any = torch.load(io.BytesIO(seed), weights_only=True)
    inner = content
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = rng.choice(keys)
        below = inner[key]
        if isinstance(below, (dict, list)) and below and rng.random() < 0.7:
            inner = below
            continue
        if rng.random() < 0.3:
            del inner[key]
        else:
            inner[key] = rng.choice(_ODD)
        return _saved(content)


def _read_training(data: bytes, folder: Path) -> None:
    path = folder / "last_checkpoint.pth"
    path.write_bytes(data)
    training = _training()
    history = training.load(path)
    assert isinstance(history, list)
    assert training.epochs_done >= 0


def _read_plain(data: bytes, folder: Path) -> None:
    path = folder / "plain.pth"
    path.write_bytes(data)
    load_checkpoint(path)


_CACHED = 3


def _describer() -> Describer:
    return Describer(
        prepare=lambda image: image[:, :8, :8],
        encode=lambda images: images.float().mean(dim=(2, 3)),
        dimension=3,
        identity="fuzz",
        batch_size=2,
    )


def _describe_cached(folder: Path, data: bytes | None) -> bytes:
    """Describe images with a file in the cache, or make it; return what stands there afterwards."""
    images = [folder / f"{number}.jpg" for number in range(_CACHED)]
    for image in images:
        image.write_bytes(encoded("JPEG"))
        os.utime(image, (1_700_000_000, 1_700_000_000))
    cache = folder / "cache"
    whole = np.array(cached_descriptors(_describer(), images, cache, _ALONE).rows)
    (file,) = cache.glob("*.npy")
    if data is not None:
        file.write_bytes(data)
        rows = cached_descriptors(_describer(), images, cache, _ALONE).rows
        assert rows.shape == whole.shape
        assert rows.dtype == whole.dtype
    return file.read_bytes()


def _cached() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [_describe_cached(Path(folder), None)]


def _memory(folder: Path) -> tuple[RuntimeMemory, Path]:
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        memory = RuntimeMemory("tiny", torch.device("cpu"), [Variant("torch", "float32")])
    return memory, folder / "progeo"


def _remembered() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        memory, cache = _memory(Path(folder))
        memory.write(Remembered(Variant("torch", "float32"), np.eye(4, dtype=np.float32)))
        return [next(cache.glob("*.json")).read_bytes()]


def _read_memory(data: bytes, folder: Path) -> None:
    memory, cache = _memory(folder)
    memory.write(Remembered(Variant("torch", "float32"), np.eye(4, dtype=np.float32)))
    next(cache.glob("*.json")).write_bytes(data)
    found = memory.read()
    if found is None:
        raise RefusedError("forgotten")
    assert found.expected.ndim == 2
    assert isinstance(found.variant.runtime, str)


KINDS = {
    "checkpoint": Kind(
        lambda: [
            _saved(_tiny().state_dict()),
            _saved({"model_state_dict": _tiny().state_dict(), "epoch": 3}),
            _saved(_tiny().state_dict(), _use_new_zipfile_serialization=False),
        ],
        _read_checkpoint,
        _change_zip,
        share=2.0,
    ),
    "TorchScript archive": Kind(lambda: [_scripted()], _read_checkpoint, _change_zip),
    "safetensors": Kind(
        lambda: [safetensors.torch.save(_tiny().state_dict(), {"a": "b"})],
        _read_safetensors,
        mutate_start(300),
    ),
    "model.json": Kind(
        lambda: [(_shipped() / CARD_FILE).read_bytes()], _read_card, mutate_text, share=0.5
    ),
    "weights of a model folder": Kind(
        lambda: [(_shipped() / WEIGHTS_FILE).read_bytes()],
        _read_folder_weights,
        mutate_start(30_000),
        share=0.3,
    ),
    "authors' prompts": Kind(
        lambda: [_authors_prompts()], _read_authors_prompts, _change_zip, share=0.5
    ),
    "prompts of stage 1": Kind(
        lambda: [_written(lambda path: save_prompts([_prompts()], path))],
        _read_prompts,
        _change_training,
        share=0.5,
    ),
    "training checkpoint": Kind(lambda: [_training_state()], _read_training, _change_training),
    "cached descriptors": Kind(_cached, lambda data, folder: _describe_cached(folder, data)),
    "remembered runtime": Kind(_remembered, _read_memory, mutate_text, share=0.5),
}
