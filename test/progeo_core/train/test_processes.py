import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from progeo_core.errors import UsageError
from progeo_core.train.losses import CosFace, soft_triplet
from progeo_core.train.processes import Processes, start_processes

BATCH = 8


def gradients(processes: Processes) -> dict[str, torch.Tensor]:
    """Return the gradients of one step of a network and a classifier on a batch of eight."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    classifier = CosFace(4, 3)
    inputs, labels = torch.randn(BATCH, 6), torch.arange(BATCH) % 3
    part = processes.share(BATCH)
    parallel = processes.parallel(network)
    outputs = processes.join(parallel(inputs[part]))
    labels = processes.join(labels[part])
    logits = classifier(outputs, labels)
    (nn.functional.cross_entropy(logits, labels) + soft_triplet(outputs, labels)).backward()
    named = [*network.named_parameters(), *classifier.named_parameters(prefix="classifier")]
    return {name: p.grad for name, p in named if p.grad is not None}


def run_as_one_of_two(folder: Path) -> None:
    """Be one process of two: save the gradients, then fail in the main process only."""
    with start_processes("cpu") as processes:
        torch.save(gradients(processes), folder / f"{processes.rank}.pth")
        try:
            processes.from_main(lambda: 1 // 0)
        except ZeroDivisionError:
            (folder / f"{processes.rank}.raised").touch()
        assert processes.from_main(lambda: processes.rank) == 0


def start_two(folder: Path) -> list[subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **world, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]


@pytest.mark.slow
def test_two_processes_get_the_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    for process in start_two(tmp_path):
        assert process.wait(timeout=120) == 0
    alone = gradients(Processes(0, 1, torch.device("cpu")))
    for rank in range(2):
        together = torch.load(tmp_path / f"{rank}.pth", weights_only=True)
        assert together.keys() == alone.keys()
        for name, gradient in alone.items():
            torch.testing.assert_close(together[name], gradient, rtol=1e-5, atol=1e-6)
        assert (tmp_path / f"{rank}.raised").exists()


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(UsageError, match=r"batch size 9 .* use a multiple of 2"):
        Processes(0, 2, torch.device("cpu")).share(9)


if __name__ == "__main__":
    run_as_one_of_two(Path(sys.argv[1]))
