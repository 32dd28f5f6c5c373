"""Replay of a network's kernels for inputs of one shape, without launching each of them again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Libraries choose their algorithms and allocate workspaces in the first calls.
_WARM_UP = 3


class CudaGraph:
    """Recorded kernels of one function, and the memory that they read and write.

    For one image at a time: there, launching kernels takes longer than running them.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], sample: Tensor) -> None:
        """Record a function that only computes on the sample's device: no copies from or to it.

        Raises `RuntimeError` for a function that cannot be recorded.
        """
        self._device = sample.device
        with torch.cuda.device(self._device):
            self._input = sample.clone()
            current = torch.cuda.current_stream()
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # as torch has it
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    function(self._input)
            current.wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads, such as a viewer's, may use the device meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._output = function(self._input)

    @property
    def shape(self) -> torch.Size:
        """Return the shape of inputs."""
        return self._input.shape

    def replay(self, values: Tensor) -> Tensor:
        """Return the output for an input; it is valid until the next call."""
        with torch.cuda.device(self._device):
            self._input.copy_(values)
            self._graph.replay()
        return self._output
