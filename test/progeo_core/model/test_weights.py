from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.model.weights import load_weights, read_state, sha256_of, to_network_names

NAMES = ("backbone.conv1.weight", "aggregation.1.p")


def weights() -> dict[str, Tensor]:
    return {name: torch.full((3,), float(number)) for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "model.module."]
)
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model_state_dict", "model"])
def test_finds_the_weights_of_a_training_checkpoint(
    tmp_path: Path, prefix: str, wrapper: str
) -> None:
    state = {prefix + name: tensor for name, tensor in weights().items()}
    torch.save({"epoch": 3, wrapper: state} if wrapper else state, tmp_path / "best.pth")
    found = to_network_names(read_state(tmp_path / "best.pth"))
    assert found.keys() == weights().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights().items())


def test_a_compiled_part_has_the_names_of_the_whole() -> None:
    renamed = to_network_names({"visual._orig_mod.conv1.weight": torch.ones(1)})
    assert list(renamed) == ["backbone.conv1.weight"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({3: torch.ones(2)}, "a weight is called 3, which is no text"),
        ([torch.ones(2)], "it holds a list, not weights by name"),
        (torch.ones(2), "it holds a Tensor, not weights by name"),
        ({"model": "RN50"}, "holds no weights by name"),
        ({"w": torch.ones(1).expand(1 << 40)}, r"would take 4398\.0 GB"),
    ],
)
def test_says_in_one_line_why_a_file_holds_no_weights(
    tmp_path: Path, content: object, reason: str
) -> None:
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=reason) as refusal:
        read_state(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_a_damaged_safetensors_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(weights(), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"model\.safetensors: .*damaged"):
        read_state(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_weights_that_are_not_finite(value: float) -> None:
    network = nn.Linear(2, 2)
    state = {**network.state_dict(), "bias": torch.tensor([1.0, value])}
    with pytest.raises(DataError, match=r"last\.pth: 'bias' holds values that are not finite"):
        load_weights(network, state, "last.pth")


def test_names_the_first_weight_that_does_not_fit() -> None:
    network = nn.Linear(2, 2)
    state = network.state_dict()
    odd = {
        "'bias' is missing": {"weight": state["weight"]},
        "'extra' is not part of it": {**state, "extra": torch.ones(1)},
        "'bias' has another shape": {**state, "bias": torch.ones(3)},
    }
    for message, wrong in odd.items():
        with pytest.raises(ModelMismatchError, match=message):
            load_weights(network, wrong, "some.pth")


def test_the_digest_is_of_the_visual_side_alone() -> None:
    digest = sha256_of(weights())
    assert digest == sha256_of({**weights(), "text_encoder.ln_final.bias": torch.ones(1)})
    assert digest != sha256_of({**weights(), NAMES[0]: torch.ones(3)})
