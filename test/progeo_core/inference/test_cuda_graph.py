from __future__ import annotations

import pytest
import torch
from torch import Tensor

from progeo_core.inference.cuda_graph import CudaGraph

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@torch.inference_mode()
def test_replays_the_function_for_other_values() -> None:
    layer = torch.nn.Conv2d(3, 4, 3).cuda().eval()
    graph = CudaGraph(layer, torch.rand(1, 3, 8, 8, device="cuda"))
    assert graph.shape == (1, 3, 8, 8)
    for _ in range(3):
        values = torch.rand(1, 3, 8, 8, device="cuda")
        assert torch.allclose(graph.replay(values), layer(values), atol=1e-5)


@torch.inference_mode()
def test_says_which_function_cannot_be_recorded() -> None:
    def copies(values: Tensor) -> Tensor:
        return values * values.sum().item()

    with pytest.raises(RuntimeError):
        CudaGraph(copies, torch.rand(4, device="cuda"))
