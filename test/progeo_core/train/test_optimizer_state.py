from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from progeo_core.errors import DataError
from progeo_core.train.optimizer_state import restore_optimizer

PATH = Path("last_checkpoint.pth")
SHAPES = {"proj": (4, 4), "conv": (4, 2), "norm": (4,), "text": (3,)}


def network(names: Sequence[str]) -> dict[str, nn.Parameter]:
    """Return the parameters of one network in the order of a library."""
    return {name: nn.Parameter(torch.full(SHAPES[name], 1.0)) for name in names}


def trained_adam(
    parameters: dict[str, nn.Parameter], learning: Sequence[str]
) -> torch.optim.Optimizer:
    """Return an optimizer after one step in which some of its parameters had gradients."""
    optimizer = torch.optim.Adam(parameters.values(), 0.5)
    sum((parameters[name] * len(name)).sum() for name in learning).backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("whole", [True, False], ids=["of all parameters", "of the trained"])
def test_the_state_follows_the_names_whatever_the_order(whole: bool) -> None:
    saved_names = ["proj", "text", "norm", "conv"]
    theirs = network(saved_names)
    learning = ["proj", "conv", "norm"]
    chosen = theirs if whole else {name: theirs[name] for name in theirs if name != "text"}
    state = trained_adam(chosen, learning).state_dict()
    ours = network(["conv", "norm", "proj"])
    optimizer = torch.optim.Adam(ours.values(), 0.1)
    restore_optimizer(optimizer, ours, state, saved_names, PATH)
    for name, parameter in ours.items():
        restored = optimizer.state[parameter]
        assert restored["step"] == 1
        torch.testing.assert_close(restored["exp_avg"], torch.full(SHAPES[name], 0.1 * len(name)))
    assert optimizer.param_groups[0]["lr"] == 0.1
    sum(parameter.sum() for parameter in ours.values()).backward()
    optimizer.step()


def test_a_parameter_that_never_learned_has_no_state_and_is_no_problem() -> None:
    names = ["conv", "norm", "proj"]
    state = trained_adam(network(names), ["conv"]).state_dict()
    ours = network(names)
    optimizer = torch.optim.Adam(ours.values())
    restore_optimizer(optimizer, ours, state, names, PATH)
    assert [len(optimizer.state[parameter]) > 0 for parameter in ours.values()] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("saved", "trained"),
    [
        (["conv", "norm", "proj"], ["norm", "proj"]),
        (["norm", "proj"], ["conv", "norm", "proj"]),
    ],
    ids=["more", "fewer"],
)
def test_other_trained_layers_are_refused(saved: list[str], trained: list[str]) -> None:
    state = trained_adam(network(saved), saved).state_dict()
    ours = network(trained)
    optimizer = torch.optim.Adam(ours.values())
    with pytest.raises(DataError, match=r"last_checkpoint.pth: other layers were trained.*--freez"):
        restore_optimizer(optimizer, ours, state, ["conv", "norm", "proj"], PATH)
    assert not optimizer.state


def test_state_of_other_shapes_is_refused() -> None:
    state = trained_adam(network(["conv", "proj"]), ["conv", "proj"]).state_dict()
    ours = network(["conv", "proj"])
    with pytest.raises(DataError, match="other layers were trained, for example 'proj'"):
        restore_optimizer(torch.optim.Adam(ours.values()), ours, state, ["proj", "conv"], PATH)
