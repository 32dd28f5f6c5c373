import json

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.evaluation.training_examples import epoch_examples, prompt_words
from progeo_core.images.codec import encode_jpeg


def prediction(picture: str, distance_m: float | None) -> dict[str, object]:
    return {
        "query": "queries/<b>.jpg",
        "query_picture": "query_0.jpg",
        "prediction": "database/a.jpg",
        "prediction_picture": picture,
        "distance_m": distance_m,
        "right": distance_m is not None and distance_m < 5.0,
    }


def test_a_query_stands_beside_its_predictions_of_the_first_the_last_and_epochs_between(tmp_path):
    assert epoch_examples(tmp_path) == ""
    (tmp_path / "examples").mkdir()
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "examples" / "query_0.jpg").write_bytes(jpeg)
    (tmp_path / "examples" / "prediction_3.jpg").write_bytes(jpeg)
    epochs = [{"epoch": n, "queries": [prediction("prediction_3.jpg", 30.0 - n)]} for n in range(9)]
    epochs += [{"epoch": 9, "queries": [prediction("", 2.0)]}]
    epochs[0]["queries"] = [prediction("prediction_3.jpg", None)]
    (tmp_path / "examples" / "epochs.json").write_text(json.dumps(epochs))
    shown = epoch_examples(tmp_path)
    assert shown.count("<figure") == 6
    assert shown.count("<img") == 5
    assert "queries/&lt;b&gt;.jpg" in shown
    assert "epoch 0: wrong, far off" in shown
    assert "epoch 9: right, 2 m off" in shown
    (tmp_path / "examples" / "epochs.json").write_text("[{}]")
    with pytest.raises(DataError, match=r"epochs\.json: damaged .* remove it"):
        epoch_examples(tmp_path)


def test_words_stand_in_a_row_for_each_class(tmp_path):
    assert prompt_words(tmp_path) == ""
    vectors = [[{"word": "<gate", "distance": 0.25}, {"word": "dock", "distance": 0.5}]]
    named = {"group": 1, "class_id": [32, 500_000, 4_000_000, 90], "vectors": vectors}
    prompts = [named, {**named, "class_id": None}]
    (tmp_path / "prompt_words.json").write_text(json.dumps({"schema": 1, "prompts": prompts}))
    shown = prompt_words(tmp_path)
    assert "group 1: 32, 500000, 4000000, 90" in shown
    assert "group 1: unknown class" in shown
    assert "&lt;gate 0.25<br>dock 0.50" in shown
