import dataclasses

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.evaluation.comparison.compare_models import compare_models, count_steps
from progeo_core.evaluation.queries import evaluate_records
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records
from progeo_core.verification.view_finder import DepthViewFinder


class TinyEncoder:
    """Encoder that describes an image by a few of its pixels."""

    runs_in = "numpy"

    def __init__(self, pixels, normalized=True):
        self._pixels = pixels
        self.fingerprint = ModelFingerprint("pixels", 3 * pixels * pixels, "", "0", normalized)

    def encode(self, images):
        steps = [slice(None, None, -(-side // self._pixels)) for side in images[0].shape[:2]]
        rows = np.stack([image[tuple(steps)].ravel() - 120.0 for image in images])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.slow
def test_every_model_gets_the_figures_of_its_own_map(corridor, tmp_path):
    database = read_records(corridor / "ref.csv").select(slice(0, 60, 12))
    queries = read_records(corridor / "query.csv").select(slice(2, 62, 12))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    broken = (*queries.images[:-1], tmp_path / "broken.jpg")
    queries = dataclasses.replace(queries, images=broken)
    encoders = {"coarse": TinyEncoder(2), "fine": TinyEncoder(8)}
    seen: list[int] = []
    extractor = shared_extractor("cpu")
    found = compare_models(
        database, queries, encoders, 2.5, extractor=extractor, advance=seen.append
    )
    assert sum(seen) == count_steps(len(database), len(queries), len(encoders))
    assert (found.database, found.queries, found.with_positives) == (5, 4, 4)
    assert [one.model for one in found.models] == ["coarse", "fine"]
    assert [one.dimension for one in found.models] == [12, 192]
    assert "broken.jpg" in found.skipped[0]
    for one, encoder in zip(found.models, encoders.values(), strict=True):
        path = tmp_path / f"{one.model}.progeo"
        finder = DepthViewFinder(extractor)
        build_map(path, FileSource(database), encoder, structure=finder)
        with PlaceMap.open(path) as place_map:
            plain, verified = (
                evaluate_records(place_map, queries, encoder, 2.5, verification_ms=ms).evaluation
                for ms in (0, 1)
            )
        assert one.single == plain.recall_at
        assert one.verified == verified.recall_at
        assert one.map_bytes == path.stat().st_size
    assert found.to_json()["models"][1]["runs_in"] == "numpy"


def test_raw_descriptors_are_refused_by_name(corridor):
    records = read_records(corridor / "ref.csv").select(slice(0, 2))
    with pytest.raises(UsageError, match=r"raw-vit: its descriptors are not normalised"):
        compare_models(records, records, {"raw-vit": TinyEncoder(2, normalized=False)}, 1.0)
