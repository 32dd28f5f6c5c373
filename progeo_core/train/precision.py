"""Mixed precision: which numbers a step computes in, and the scaling that float16 needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from progeo_core.errors import ProgeoError
from progeo_core.train.settings import RunSettings


class Precision:
    """Precision of forward passes and optimiser steps, full or mixed."""

    def __init__(self, settings: RunSettings, device: torch.device) -> None:
        self._dtype = getattr(torch, settings.amp_dtype)
        self._device = device.type
        self._mixed = settings.use_amp16
        scaled = self._mixed and self._dtype == torch.float16
        self._scaler = torch.amp.GradScaler(self._device, enabled=scaled)

    def forward(self) -> AbstractContextManager[Any]:
        """Return the context to run a forward pass in."""
        return torch.autocast(self._device, dtype=self._dtype, enabled=self._mixed)

    def step(self, loss: Tensor, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Run the backward pass of the loss and step every optimiser."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        scaled: Any = self._scaler.scale(loss)
        scaled.backward()
        for optimizer in optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return self._scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        if state:
            self._scaler.load_state_dict(state)


class RunningLoss:
    """Mean losses of an epoch, summed on the device and read back only now and then."""

    _PERIOD = 10

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, losses: Tensor) -> float | None:
        """Add losses [k], the total first; return the mean total so far on every tenth call.

        Raises `ProgeoError` as soon as a mean that is read is not finite.
        """
        losses = losses.detach().double()
        self._sum = losses if self._sum is None else self._sum + losses
        self._count += 1
        return self.means()[0] if self._count % self._PERIOD == 1 else None

    def means(self) -> list[float]:
        """Return the mean of each loss so far."""
        if self._sum is None:
            return []
        means: list[float] = (self._sum / self._count).tolist()
        if not all(abs(mean) < float("inf") for mean in means):
            raise ProgeoError(
                "the loss is not finite: lower the learning rate, or use --amp_dtype bfloat16;"
                " the last checkpoint is from before"
            )
        return means
