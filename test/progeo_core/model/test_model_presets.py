import pytest

from progeo_core.errors import UsageError
from progeo_core.inference.loading import load_encoder
from progeo_core.model.model_address import parse_model_address
from progeo_core.model.model_presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_all_that_its_model_needs(name: str) -> None:
    address = parse_model_address(name)
    assert address is not None
    assert len(address.revision) == 40
    assert address.dimension == PRESETS[name].dimension
    side = address.preprocessing(1, 1).height
    assert side > 1
    assert side % (14 if side == 322 else 32) == 0
    with pytest.raises(UsageError, match=rf"{name}: runs the code of others .*--trust-code"):
        load_encoder(name, "cpu")
