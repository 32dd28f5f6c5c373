from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from progeo_core.errors import DataError
from progeo_core.model.built_in import DEFAULT_MODEL, built_in_folder
from progeo_core.model.model_card import parse_model_card, read_model_card


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    folder = built_in_folder(DEFAULT_MODEL)
    assert folder is not None
    return dict(json.loads((folder / "model.json").read_bytes()))


def parsed(document: object) -> Any:
    return parse_model_card(json.dumps(document), Path("model.json"))


def test_is_what_was_written(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    card = read_model_card(path)
    assert card.to_json() == {**document, "preprocessing": {**document["preprocessing"],
        "mean": tuple(document["preprocessing"]["mean"]),
        "std": tuple(document["preprocessing"]["std"])}}  # fmt: skip
    assert card.fingerprint.architecture == "MobileNetV2+GeM"
    assert card.fingerprint.dimension == document["architecture"]["dimension"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("name", 3, "name is 3, not a text"),
        ("weights_sha256", None, "weights_sha256 is None, not a text"),
        ("normalized", "yes", "normalized is 'yes', not true or false"),
        ("schema", 2, "written by a newer version"),
        ("schema", "1", "schema is '1', not a whole number"),
        ("schema", None, "schema is None, not a whole number"),
        ("architecture", [1], "not a model card"),
        ("architecture.backbone", ["MobileNetV2"], "backbone is .* not a text"),
        ("architecture.head", {}, "not a model card"),
        ("architecture.head", "gem2", "'gem2' is not a valid Head"),
        ("architecture.dimension", "1280", "dimension is '1280', not a number"),
        ("architecture.dimension", 10**12, "dimension is 1000000000000, not a number"),
        ("architecture.dimension", True, "dimension is True, not a number"),
        ("architecture.with_text", 0, "with_text is 0, not true or false"),
        ("architecture.layers", 3, "unexpected keyword argument 'layers'"),
        ("preprocessing.height", 0, "height is 0, not a number"),
        ("preprocessing.width", 512.5, "width is 512.5, not a number"),
        ("preprocessing.resampling", ["bilinear"], "unknown resampling"),
        ("preprocessing.mean", [0.1, 0.2], "not three finite numbers"),
        ("preprocessing.mean", [0.1, 0.2, "x"], "could not convert"),
        ("preprocessing.std", [1.0, 0.0, 1.0], "std is not positive"),
        ("preprocessing.std", [1.0, float("inf"), 1.0], "not three finite numbers"),
    ],
)
def test_says_in_one_line_which_value_is_wrong(
    document: dict[str, Any], place: str, value: object, message: str
) -> None:
    odd = json.loads(json.dumps(document))
    part, _, key = place.rpartition(".")
    (odd[part] if part else odd)[key] = value
    with pytest.raises(DataError, match=message) as refusal:
        parsed(odd)
    assert str(refusal.value).startswith("model.json: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "[]", "null", "7", " " * (1 << 21)])
def test_what_is_no_card_is_an_error(content: str) -> None:
    with pytest.raises(DataError, match=r"model\.json: (not JSON|not a model card)"):
        parse_model_card(content, Path("model.json"))


def test_names_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.json: cannot be read \(No such file"):
        read_model_card(tmp_path / "model.json")


def test_a_local_head_is_part_of_the_card_and_of_the_fingerprint(document: dict[str, Any]) -> None:
    local = {"extractor": "xfeat-1", "size_px": 640, "words": 64, "dimension": 1024}
    joined, plain = parsed({**document, "local": local}), parsed(document)
    assert joined.to_json()["local"] == local
    assert "local" not in plain.to_json()
    assert joined.fingerprint.architecture == f"{plain.fingerprint.architecture}+VLAD64"
    assert (joined.fingerprint.dimension, joined.fingerprint.image_side) == (1024, 640)
    for key, value in (("words", 0), ("extractor", 3), ("dimension", "1024")):
        with pytest.raises(DataError, match=key):
            parsed({**document, "local": {**local, key: value}})
    with pytest.raises(DataError, match="not a model card"):
        parsed({**document, "local": 3})
