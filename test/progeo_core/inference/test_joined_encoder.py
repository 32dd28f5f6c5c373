from pathlib import Path

import numpy as np
import pytest

from progeo_core import CameraFrame, Localizer, build_map
from progeo_core.errors import ModelMismatchError
from progeo_core.images.codec import read_image
from progeo_core.inference.device import choose_device
from progeo_core.inference.feature_extractor import FeatureExtractor, shared_extractor
from progeo_core.inference.joined_encoder import JoinedEncoder
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records
from progeo_core.verification.view_finder import DepthViewFinder

pytestmark = pytest.mark.slow  # networks are exported


@pytest.fixture(scope="module")
def model() -> Model:
    return load_named_model("mobilenetv2-vlad")


def test_a_map_and_the_images_asked_of_it_have_their_local_features_found_once(
    corridor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, extractor = load_encoder("mobilenetv2-vlad", "cpu"), shared_extractor("cpu")
    run, seen = extractor._network.keypoints, []

    def counted(pixels, count):
        seen.extend(pixels)
        return run(pixels, count)

    monkeypatch.setattr(extractor._network, "keypoints", counted)
    records = read_records(corridor / "ref.csv").select(slice(0, 8))
    path = tmp_path / "map.progeo"
    build_map(path, FileSource(records), encoder, structure=DepthViewFinder(extractor))
    assert len(seen) == 8
    with Localizer.open(path, encoder) as localizer:
        localizer.localize(CameraFrame(read_image(corridor / "query" / "0000003.jpg")))
    assert len(seen) == 9


def test_a_head_for_other_local_features_is_refused_by_name(model: Model) -> None:
    assert model.head is not None
    network = TorchEncoder(model.network_alone, choose_device("cpu"))
    extractor = FeatureExtractor("cpu", "torch")
    assert JoinedEncoder(model.card, network, extractor, model.head).encode([]).shape == (0, 1024)
    extractor.name = "xfeat-other"
    with pytest.raises(ModelMismatchError, match=r"mobilenetv2-vlad: made for .* xfeat-other"):
        JoinedEncoder(model.card, network, extractor, model.head)


def test_every_runtime_gives_the_same_descriptor(campus_loop: Path) -> None:
    image = read_image(campus_loop / "dataset" / "image_0.png")
    one, other = (
        load_encoder("mobilenetv2-vlad", "cpu", runtime).encode([image])[0]
        for runtime in ("torch", "onnx")
    )
    assert float(np.dot(one, other)) > 0.999
