"""State of an optimizer from a checkpoint, matched with the parameters by their names.

An optimizer numbers its parameters in the order of the network that it was made for, and the same
network of another library has another order. The weights in the checkpoint are in that order, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from progeo_core.errors import DataError


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    trained: Mapping[str, nn.Parameter],
    saved: Mapping[str, Any],
    saved_names: Sequence[str],
    path: Path,
) -> None:
    """Load the state of one parameter group into an optimizer of the `trained` parameters.

    saved: state_dict of the other optimizer. saved_names: names of the parameters of the other
    network in its order; the optimizer was made for all of them, or for the `trained` alone.
    Raises `DataError` naming `path` where other layers were trained.
    """
    count = sum(len(group["params"]) for group in saved["param_groups"])
    names = _names_of(count, saved_names, trained)
    state = {} if names is None else {names[int(row)]: one for row, one in saved["state"].items()}
    wrong = next((name for name in state if not _fits(name, state[name], trained)), None)
    if names is None or wrong is not None or not set(trained) <= set(names):
        raise DataError(
            f"{path}: other layers were trained{f', for example {wrong!r}' if wrong else ''}; use"
            " its --freeze_cnn, --freeze_trans and --train_all_layers, or start from its weights"
            " with --resume_model"
        )
    rows = {name: row for row, name in enumerate(trained)}
    restore_averages(optimizer, {rows[name]: one for name, one in state.items()})


def restore_averages(optimizer: torch.optim.Optimizer, state: Mapping[int, Any]) -> None:
    """Load what an optimizer learned of its parameters, by their number.

    Its learning rate stays the one of this run, which is lowered where the loss was not finite.
    """
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(state), "param_groups": own})


def _names_of(count: int, names: Sequence[str], trained: Iterable[str]) -> list[str] | None:
    """Return the names of an optimizer's parameters in its order, None where they do not match."""
    known = set(trained)
    choices = (list(names), [name for name in names if name in known])
    return next((choice for choice in choices if len(choice) == count), None)


def _fits(name: str, state: Mapping[str, Any], trained: Mapping[str, nn.Parameter]) -> bool:
    """Whether the state of one parameter has the shape of the trained one of that name."""
    if name not in trained:
        return False
    averages = (one for one in state.values() if isinstance(one, Tensor) and one.ndim)
    return all(one.shape == trained[name].shape for one in averages)
