import shutil

import numpy as np
import pytest

from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.model_folder import load_model
from progeo_core.model.stored_model import (
    CARD_FILE,
    WEIGHTS_FILE,
    read_card,
    read_local_head,
)


@pytest.mark.parametrize("name", ["mobilenetv2-gem", "mobilenetv2-vlad"])
def test_a_card_and_head_are_those_of_the_loaded_model(name):
    folder = built_in_folder(name)
    assert folder
    model, card = load_model(folder), read_card(folder)
    assert card.fingerprint == model.card.fingerprint
    head = read_local_head(folder, card)
    assert (head is None) == (model.head is None) == (name == "mobilenetv2-gem")
    for first, second in zip(head or (), model.head or (), strict=True):
        np.testing.assert_array_equal(first, second)


def test_weights_that_are_damaged_or_another_models_are_refused(small_model, tmp_path):
    folder = shutil.copytree(small_model, tmp_path / "model")
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-5] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"model\.safetensors: damaged, or not the weights"):
        read_card(folder)
    (folder / WEIGHTS_FILE).write_bytes(content[:100])
    with pytest.raises(DataError, match=r"missing or damaged .*; import the model again"):
        read_card(folder)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(DataError, match=r"missing or damaged .*; import the model again"):
        read_card(folder)


def test_the_card_inside_the_weights_stands_in_for_one_that_is_gone(small_model, tmp_path):
    folder = shutil.copytree(small_model, tmp_path / "model")
    before = read_card(folder)
    (folder / CARD_FILE).unlink()
    assert read_card(folder) == before


def test_a_head_that_the_card_does_not_say_is_refused():
    vlad = built_in_folder("mobilenetv2-vlad")
    assert vlad
    with pytest.raises(ModelMismatchError, match=r"its local head is not the one of model\.json"):
        read_local_head(vlad, read_card(vlad).network_alone)
