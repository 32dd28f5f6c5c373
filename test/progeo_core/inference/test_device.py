from __future__ import annotations

import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.inference.device import choose_device
from progeo_core.inference.loading import load_encoder


def test_takes_a_graphics_card_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", ""])
def test_refuses_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=f"device '{name}'.* 'cpu'") as refusal:
        load_encoder(device=name)
    assert "\n" not in str(refusal.value)
