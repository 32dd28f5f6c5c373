from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.model.model_folder import load_model, read_model, save_model
from progeo_core.model.stored_model import find_model_folder, is_model_folder
from progeo_core.model.weights import sha256_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the model that ships."""
    shipped = find_model_folder("mobilenetv2-gem")
    assert shipped is not None
    return Path(shutil.copytree(shipped, tmp_path / "model"))


def edit(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, **changes}))


def test_saves_what_it_reads(folder: Path, tmp_path: Path) -> None:
    card, state = read_model(folder, with_text=False)
    again = read_model(save_model(tmp_path / "again", card, state), with_text=False)

    assert again.card == card
    assert again.state.keys() == state.keys()
    assert all(torch.equal(again.state[name], state[name]) for name in state)
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_computes_in_float32_from_weights_in_float16(folder: Path) -> None:
    stored = read_model(folder, with_text=False).state
    loaded = load_model(folder).network.state_dict()

    assert {stored[name].dtype for name in stored} == {torch.float16, torch.int64}
    assert {loaded[name].dtype for name in loaded} == {torch.float32, torch.int64}
    assert all(torch.equal(loaded[name].to(stored[name].dtype), stored[name]) for name in stored)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "written by a newer version .schema 2"),
        ({"weights_sha256": "0" * 64}, "not the weights that model.json was written for"),
        ({"architecture": {}}, "not a model card"),
        ({"preprocessing": None}, "not a model card"),
    ],
)
def test_refuses_a_card_that_does_not_hold(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    edit(folder, **changes)
    with pytest.raises(DataError, match=message) as refusal:
        load_model(folder)
    assert str(folder) in str(refusal.value)


def test_refuses_damaged_and_missing_files(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    with pytest.raises(DataError, match="missing or damaged"):
        load_model(folder)

    flipped = bytearray(whole)
    flipped[-100] ^= 1
    weights.write_bytes(flipped)
    with pytest.raises(DataError, match=r"model.safetensors: damaged"):
        load_model(folder)

    weights.unlink()
    with pytest.raises(DataError, match=r"model.safetensors: missing"):
        load_model(folder)

    (folder / "model.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        load_model(folder)


def test_refuses_weights_of_another_network(folder: Path) -> None:
    card, state = read_model(folder, with_text=False)
    del state["backbone.0.0.weight"]
    save_model(folder, dataclasses.replace(card, weights_sha256=sha256_of(state)), state)

    with pytest.raises(ModelMismatchError, match=r"'backbone.0.0.weight' is missing"):
        load_model(folder)


def test_refuses_a_card_of_a_network_that_does_not_exist(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    edit(folder, architecture={**card["architecture"], "backbone": "ViT-Z-1"})
    with pytest.raises(DataError, match=r"model\.json: unknown backbone 'ViT-Z-1'"):
        load_model(folder)


@pytest.mark.parametrize("moment", ["before weights", "after weights", "before card", "after card"])
@pytest.mark.parametrize("over", [False, True])
def test_a_kill_leaves_the_old_model_or_the_new_one(
    folder: Path, tmp_path: Path, moment: str, over: bool
) -> None:
    old = read_model(folder, with_text=False)
    state = {**old.state, "aggregation.1.p": torch.tensor([2.5])}
    new = dataclasses.replace(old.card, name="new", weights_sha256=sha256_of(state))
    target = folder if over else tmp_path / "target"

    killed = os.fork()
    if not killed:
        kill_at(moment)
        save_model(target, new, state)
        os._exit(0)
    _, status = os.waitpid(killed, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL

    if over or moment != "before weights":
        left = read_model(target, with_text=False).card
        assert left == (old.card if moment == "before weights" else new)
    assert is_model_folder(target) == (over or moment != "before weights")
    save_model(target, new, state)
    kept = {"LICENSE"} if over else set()
    assert {path.name for path in target.iterdir()} == {"model.json", "model.safetensors", *kept}


def kill_at(moment: str) -> None:
    """Let this process be killed before or after it gives a file its name."""
    rename = os.replace
    when, _, what = moment.partition(" ")

    def replace(source: Path, target: Path) -> None:
        is_it = target.name == {"weights": "model.safetensors", "card": "model.json"}[what]
        if when == "after":
            rename(source, target)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "before":
            rename(source, target)

    os.replace = replace  # type: ignore[assignment]


def test_a_card_of_another_local_head_is_refused(tmp_path: Path) -> None:
    shipped = find_model_folder("mobilenetv2-vlad")
    assert shipped is not None
    model = load_model(shipped)
    assert model.head is not None
    assert model.head.dimension == model.card.fingerprint.dimension
    assert model.network_alone.card.fingerprint.dimension == 1280
    local = model.card.local
    assert local is not None
    for wrong in (None, local._replace(words=32)):
        card = dataclasses.replace(model.card, local=wrong)
        state = read_model(shipped, with_text=False).state
        with pytest.raises(ModelMismatchError, match=r"its local head is not the one of model"):
            load_model(save_model(tmp_path / str(wrong is None), card, state))
