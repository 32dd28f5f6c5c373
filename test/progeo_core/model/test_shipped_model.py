"""The model that ships, on the images that ship."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.model.built_in import built_in_models
from progeo_core.model.model_info import describe_model
from progeo_core.model.stored_model import find_model_folder
from progeo_core.records.records import Records, read_records
from test.poor_light import in_poor_light


@functools.cache
def loaded(name: str) -> Encoder:
    return load_encoder(name, device="cpu")


@pytest.fixture(scope="module", params=["mobilenetv2-gem", "progeo-tiny"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return loaded(request.param)


@pytest.fixture(scope="module", params=built_in_models())
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    return loaded(request.param)


class Traverse(NamedTuple):
    x_m: NDArray[np.float64]
    descriptors: NDArray[np.float32]


def traverse(encoder: Encoder, csv: Path) -> Traverse:
    records: Records = read_records(csv)
    images: Iterator[Image] = (read_image(path) for path in records.images)
    return Traverse(records.position[:, 0], encoder.encode(list(images)))


@pytest.mark.slow
def test_recognises_the_corridor_better_than_plain_imagenet_features(
    encoder: Encoder, corridor: Path
) -> None:
    reference = traverse(encoder, corridor / "ref.csv")
    query = traverse(encoder, corridor / "query.csv")

    similarity = query.descriptors @ reference.descriptors.T
    ranked_x = reference.x_m[np.argsort(-similarity, axis=1)]
    right = np.abs(ranked_x - query.x_m[:, None]) <= 2
    recall = {n: right[:, :n].any(axis=1).mean() for n in (1, 5, 10)}

    assert right.shape == (111, 111)
    assert recall[1] >= 0.76
    assert recall[5] >= 0.96
    assert recall[10] >= 0.98


@pytest.mark.slow
def test_gives_one_answer_alone_and_in_a_batch(any_encoder: Encoder, campus_loop: Path) -> None:
    images = [read_image(campus_loop / "dataset" / f"image_{n}.png") for n in range(3)]
    images.insert(1, np.ascontiguousarray(images[0][:100, :150]))

    together = any_encoder.encode(images)
    alone = np.concatenate([any_encoder.encode([image]) for image in images])

    dimension = any_encoder.fingerprint.dimension
    assert together.shape == (4, dimension)
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(together, alone)
    assert any_encoder.encode([]).shape == (0, dimension)


def test_says_what_it_is() -> None:
    info = describe_model("mobilenetv2-gem")
    folder = find_model_folder("mobilenetv2-gem")

    assert built_in_models() == ("mobilenetv2-gem", "mobilenetv2-vlad", "progeo-tiny")
    assert (info.backbone, info.head, info.dimension) == ("MobileNetV2", "gem", 1280)
    assert "not trained for place recognition" in info.source
    assert info.licence == "BSD-3-Clause"
    assert info.weights_bytes < 5_000_000
    assert folder is not None
    assert "BSD 3-Clause License" in (folder / "LICENSE").read_text()
    assert info.to_json()["schema"] == 1


def test_the_trained_model_is_small_and_says_what_it_was_trained_on() -> None:
    info = describe_model("progeo-tiny")
    folder = find_model_folder("progeo-tiny")

    assert (info.backbone, info.head, info.dimension) == ("CLIP-MobileNetV2", "gem-linear", 1280)
    assert info.weights_bytes < 10_000_000
    assert "IE Tower" in info.source
    assert folder is not None
    licence = (folder / "LICENSE").read_text()
    assert "BSD 3-Clause License" in licence
    assert "MIT License" in licence


def test_the_joined_model_is_small_and_says_what_it_joins() -> None:
    info = describe_model("mobilenetv2-vlad")
    folder = find_model_folder("mobilenetv2-vlad")

    assert (info.backbone, info.dimension) == ("MobileNetV2", 1024)
    assert "VLAD of xfeat-" in info.head
    assert info.weights_bytes < 13_000_000
    assert folder is not None
    licence = (folder / "LICENSE").read_text()
    assert "BSD 3-Clause License" in licence
    assert "MIT License" in licence


@pytest.mark.slow
def test_the_joined_model_sees_in_poor_light_what_the_network_alone_does_not(
    corridor: Path,
) -> None:
    reference, query = (read_records(corridor / name).images for name in ("ref.csv", "query.csv"))
    images = [read_image(path) for path in reference[::5]]
    dark = [in_poor_light(read_image(path), row) for row, path in enumerate(query[::5])]
    recalls = []
    for name in ("mobilenetv2-gem", "mobilenetv2-vlad"):
        encoder = loaded(name)
        best = np.argmax(encoder.encode(dark) @ encoder.encode(images).T, axis=1)
        recalls.append(float(np.mean(np.abs(best - np.arange(len(dark))) <= 1)))
    assert recalls[1] > recalls[0] + 0.2, recalls
