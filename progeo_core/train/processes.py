"""One training process, or several that share the work through torch.distributed."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from progeo_core.errors import UsageError
from progeo_core.inference.device import choose_device

ResultT = TypeVar("ResultT")


class Processes(NamedTuple):
    """Place of one process among all that train together.

    rank: 0 is the main process, which alone writes files.
    world: how many there are.
    device: the one that this process computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """Return this process's equal part of a batch of `total`."""
        if total % self.world:
            raise UsageError(
                f"batch size {total} cannot be shared equally by {self.world} processes:"
                f" use a multiple of {self.world}"
            )
        size = total // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    def join(self, tensor: Tensor) -> Tensor:
        """Return the tensors [n, ...] of all processes joined [world·n, ...], differentiable.

        Every process computes the same loss of the joined batch. Its gradient is scaled by
        `world`, so that the mean over processes, which `parallel` takes, is the gradient of that
        loss: what one process with the whole batch would have got.
        """
        if self.world == 1:
            return tensor
        joined: Tensor = _Join.apply(tensor, self.rank, self.world)  # type: ignore[no-untyped-call]
        return joined

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients are averaged over the processes.

        Parameters that a step does not use (the attention pool in stage 2) are allowed.
        """
        if self.world == 1:
            return module
        if self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            return DistributedDataParallel(module, [self.device], find_unused_parameters=True)
        return DistributedDataParallel(module, find_unused_parameters=True)

    def from_main(self, compute: Callable[[], ResultT]) -> ResultT:
        """Compute in the main process and give the result to all; an error is raised in all."""
        if self.world == 1:
            return compute()
        answer: list[Any] = [None, None]
        if self.is_main:
            try:
                answer[0] = compute()
            except Exception as error:
                answer[1] = error
        dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        result: ResultT = answer[0]
        return result

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def start_processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun started, or be the only one.

    Raises `UsageError` for a device that this machine does not have.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device)
    if chosen == torch.device("cuda"):
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Processes(0, 1, chosen)
        return
    dist.init_process_group(
        "nccl" if chosen.type == "cuda" else "gloo", rank=rank, world_size=world
    )
    try:
        yield Processes(rank, world, chosen)
    finally:
        dist.destroy_process_group()
        # Networks in reference cycles keep the group, and a thread of gloo that still lets go of
        # tensors when Python ends aborts the process: without the group it is waited for.
        gc.collect()


class _Join(torch.autograd.Function):
    """Gathered tensors; backward, each process gets the gradient of its own part times `world`."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, rank: int, world: int) -> Tensor:
        context.rank, context.world, context.size = rank, world, len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        start = context.rank * context.size
        return context.world * gradient[start : start + context.size], None, None
