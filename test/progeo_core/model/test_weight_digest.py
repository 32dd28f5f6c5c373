import pytest
import torch
from safetensors.torch import save_file

from progeo_core.model.weight_digest import digest_of_file
from progeo_core.model.weights import sha256_of


def test_a_file_has_the_digest_of_its_visual_weights(tmp_path):
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8)
    state = {f"backbone.{row}": torch.ones(row, 3).to(kind) for row, kind in enumerate(kinds)}
    state |= {"aggregation.p": torch.tensor(3.0), "local.flag": torch.tensor([True])}
    for name, more in (("alone", {}), ("with text", {"text_encoder.x": torch.ones(5)})):
        save_file({**more, **state}, tmp_path / name)
        assert digest_of_file(tmp_path / name) == sha256_of({**more, **state})
    changed = {**state, "backbone.1": state["backbone.1"] + 1}
    save_file(changed, tmp_path / "changed")
    assert digest_of_file(tmp_path / "changed") != sha256_of(state)


@pytest.mark.parametrize("content", [b"12345678{", b"x"])
def test_a_file_that_is_none_is_an_error(tmp_path, content):
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        digest_of_file(path)
