import pytest
import torch
from torch import nn

from progeo_core.errors import ProgeoError
from progeo_core.train.precision import Precision, RunningLoss
from progeo_core.train.settings import RunSettings

CPU = torch.device("cpu")
FULL, BFLOAT16, FLOAT16 = (
    RunSettings(),
    RunSettings(use_amp16=True, amp_dtype="bfloat16"),
    RunSettings(use_amp16=True),
)


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [(FULL, torch.float32), (BFLOAT16, torch.bfloat16), (FLOAT16, torch.float16)],
)
def test_forward_passes_run_in_the_chosen_precision(
    settings: RunSettings, dtype: torch.dtype
) -> None:
    with Precision(settings, CPU).forward():
        assert nn.Linear(4, 2)(torch.ones(3, 4)).dtype == dtype


@pytest.mark.parametrize("settings", [FULL, BFLOAT16, FLOAT16])
def test_a_step_moves_every_optimizer_by_its_gradient(settings: RunSettings) -> None:
    weights = [nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([3.0]))]
    optimizers = [torch.optim.SGD([weight], 0.1) for weight in weights]
    precision = Precision(settings, CPU)
    for _ in range(2):  # gradients of the first step must not count in the second
        precision.step((weights[0] + 2 * weights[1]).sum(), optimizers)
    assert [weight.item() for weight in weights] == pytest.approx([1.8, 2.6])


def test_the_loss_scale_survives_a_resume() -> None:
    precision, resumed = Precision(FLOAT16, CPU), Precision(FLOAT16, CPU)
    state = precision.state() | {"scale": 1024.0}
    resumed.restore(state)
    assert resumed.state() == state
    resumed.restore({})  # of a run in full precision
    assert resumed.state() == state
    assert Precision(FULL, CPU).state() == {}


def test_the_mean_loss_is_read_on_every_tenth_call() -> None:
    running = RunningLoss()
    read = [running.add(torch.tensor([float(number), 1.0])) for number in range(12)]
    assert [number for number, mean in enumerate(read) if mean is not None] == [0, 10]
    assert read[10] == pytest.approx(5.0)
    assert running.means() == pytest.approx([5.5, 1.0])
    assert RunningLoss().means() == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run(bad: float) -> None:
    with pytest.raises(ProgeoError, match=r"not finite: lower the learning rate, or use --amp_dt"):
        RunningLoss().add(torch.tensor([bad]))
