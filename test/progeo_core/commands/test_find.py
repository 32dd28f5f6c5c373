import json
from typing import Any

import cv2
import numpy as np
import open_clip
import pytest
import torch

from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.pixels import normalize_pixels
from progeo_core.map.build import build_map
from progeo_core.model.named_model import load_named_model
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

SMALL = "ViT-S-32-alt"
# Images differ in how well they fit these by more than networks of 16 bits err.
WORDS = "a gate"


@pytest.mark.slow
def test_places_are_ranked_as_open_clip_ranks_their_images(progeo, campus_loop, tmp_path):
    torch.manual_seed(0)
    clip: Any = open_clip.create_model(SMALL).eval()
    model = f"{SMALL}:{tmp_path / 'clip.pt'}"
    torch.save(clip.state_dict(), tmp_path / "clip.pt")
    records = read_records(campus_loop / "records.csv").select(slice(0, None, 12))
    path = tmp_path / "campus.progeo"
    build_map(path, FileSource(records), load_encoder(model, "cpu", "torch"))

    done = progeo("find", path, WORDS, "--count", 6, "--pictures", tmp_path / "found", "--json")

    assert done.code == 0, done.err
    document = json.loads(done.out)
    seen = load_named_model(model).card.preprocessing
    resized = [seen.resize(read_image(image)) for image in records.images]
    pixels = normalize_pixels(torch.from_numpy(np.stack(resized)), seen)
    with torch.inference_mode():
        images = clip.encode_image(pixels, normalize=True)
        words = clip.encode_text(open_clip.tokenize([WORDS]), normalize=True)
    cosine = (images @ words.T)[:, 0].numpy()
    scores = [place["score"] for place in document["places"]]
    ranked = [str(records.images[row]) for row in np.argsort(-cosine)]
    found = [place["image"] for place in document["places"]]
    # Places nearer than three spacings to a better one are left out.
    assert found == [name for name in ranked if name in found]
    assert found[0] == ranked[0]
    np.testing.assert_allclose(scores[0], cosine.max(), atol=1e-3)
    assert document["texts"] == 59
    assert set(document) == {"schema", "map", "words", "here", "texts", "places"}
    assert cv2.imread(document["places"][0]["picture"]) is not None
    shown = progeo("find", path, WORDS)
    assert shown.code == 0
    assert found[0] in shown.out
    assert document["here"] != ("Nothing in the map stands out" in shown.out)
    assert progeo("map", "view", path, "--find", WORDS).code == 0
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert f'"words": "{WORDS}"' in page or f'"words":"{WORDS}"' in page


def test_maps_without_words_are_refused_in_one_line(progeo, campus_map, small_model, tmp_path):
    done = progeo("find", campus_map, WORDS, "--model", small_model)
    assert done.code == 2
    assert "never trained with texts" in done.error
    assert progeo("find", campus_map, " ").code == 2
    done = progeo("find", tmp_path / "none.progeo", WORDS)
    assert done.code == 1
    assert "none.progeo" in done.error
