"""Learn the local head of mobilenetv2-vlad, and judge it on scenes that it was not learned on.

    PYTHONPATH=. python training/mobilenetv2_vlad.py --data FOLDER --out mobilenetv2-vlad
    PYTHONPATH=. python training/mobilenetv2_vlad.py --data FOLDER --judge

The words of the VLAD are the centres of the local features of all scenes; principal components
shorten it and the descriptor of the network, each from its mean.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from vlad_scenes import Scene, read_scenes

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.feature_extractor import LONGEST_SIDE, FeatureExtractor
from progeo_core.inference.runtime_choice import choose_encoder
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.local_head import LOCAL, LocalHead, vlad
from progeo_core.model.model_card import LocalFeatures, ModelCard
from progeo_core.model.model_folder import Model, load_model, read_model, save_model
from progeo_core.model.weights import sha256_of
from test.poor_light import in_poor_light

Rows = NDArray[np.float32]
Half = NDArray[np.float16]

_NETWORK, _SIDE = "mobilenetv2-gem", 320
_SEED = 0
_WORDS, _ITERATIONS = 64, 25
# Local features of an image, and images of a scene, that words are learned from.
_FEATURES_EACH, _IMAGES_EACH = 256, 300
# Values that the network's descriptor and the VLAD are shortened to, and the weight of the first.
_NETWORK_VALUES, _LOCAL_VALUES = 256, 768
_NETWORK_WEIGHT = 1.2


class Described(NamedTuple):
    """What the two networks say of images [n]: descriptors [n, C], local features [m, F] each."""

    network: Rows
    features: tuple[Half, ...]


def main() -> None:
    """Run the command."""
    options = _parser().parse_args()
    scenes = read_scenes(options.data)
    model = network()
    encoder = choose_encoder(model.card, lambda: model, torch.device("cpu"))
    extractor = FeatureExtractor("cpu")
    day = [describe(scene, encoder, extractor, dark=False) for scene in scenes]
    if options.judge:
        dark = [describe(scene, encoder, extractor, dark=True) for scene in scenes]
        judge(scenes, day, dark)
    if options.out:
        write(options.out, model.card, extractor.name, learn(day))


def describe(
    scene: Scene, encoder: Encoder, extractor: FeatureExtractor, *, dark: bool
) -> Described:
    """Describe the images of a scene; dark: as poor light shows them."""
    network, features = [], []
    for seed, path in enumerate(scene.images):
        image: Image = read_image(path)
        if dark:
            image = in_poor_light(image, seed)
        network.append(encoder.encode([image])[0])
        (found,) = extractor.find([image])
        features.append(found.descriptors.astype(np.float16))
    return Described(np.stack(network), tuple(features))


def learn(scenes: Sequence[Described]) -> LocalHead:
    """Return the local head of some scenes."""
    words = _words(scenes)
    network = _shortening([scene.network for scene in scenes], _NETWORK_VALUES)
    local = _shortening([_vlads(scene, words) for scene in scenes], _LOCAL_VALUES)
    return LocalHead(words, *network, np.full(1, _NETWORK_WEIGHT, np.float32), *local)


def judge(scenes: Sequence[Scene], day: Sequence[Described], dark: Sequence[Described]) -> None:
    """Print Recall@1 by plain cosine, of every scene with a head learned on the others."""
    print(f"{'Recall@1, scene left out':38}{'queries':>8}{'network':>9}{'VLAD':>8}{'joined':>8}")
    for number, scene in enumerate(scenes):
        head = learn([one for other, one in enumerate(day) if other != number])
        for light, asked in (("", day[number]), (", poor light", dark[number])):
            for split in scene.splits:
                ways = zip(_ways(asked, head), _ways(day[number], head), strict=True)
                recalls = [
                    _recall(queries[split.queries] @ database[split.database].T, split.right)
                    for queries, database in ways
                ]
                print(
                    f"{split.name + light:38}{split.right.any(axis=1).sum():8}"
                    + "".join(f"{recall:8.3f}" for recall in recalls),
                    flush=True,
                )


def write(folder: Path, network: ModelCard, extractor: str, head: LocalHead) -> None:
    """Write the model, in half precision."""
    source = built_in_folder(_NETWORK)
    assert source is not None
    state = read_model(source, with_text=False).state
    weights = zip(head._fields, head, strict=True)
    state |= {LOCAL + name: torch.from_numpy(value).half() for name, value in weights}
    card = dataclasses.replace(
        network,
        name="mobilenetv2-vlad",
        weights_sha256=sha256_of(state),
        source=f"{network.source}; joined with a VLAD of XFeat's local features, learned on five"
        " scenes by training/mobilenetv2_vlad.py",
        licence="BSD-3-Clause (ImageNet weights of torchvision); words and projection were learned"
        " on images under MIT and BSD-3-Clause",
        local=LocalFeatures(extractor, LONGEST_SIDE, len(head.words), head.dimension),
    )
    save_model(folder, card, state)


def network() -> Model:
    """Return the network alone, at the size at which it is joined."""
    folder = built_in_folder(_NETWORK)
    assert folder is not None
    model = load_model(folder)
    seen = model.card.preprocessing._replace(height=_SIDE, width=_SIDE)
    return model._replace(card=dataclasses.replace(model.card, preprocessing=seen))


def _words(scenes: Sequence[Described]) -> Rows:
    rng = np.random.default_rng(_SEED)
    features: list[Rows] = []
    for scene in scenes:
        for own in scene.features[:: -(-len(scene.features) // _IMAGES_EACH)]:
            chosen = rng.permutation(len(own))[:_FEATURES_EACH]
            features.append(own[chosen].astype(np.float32))
    every = np.concatenate(features)
    means = faiss.Kmeans(
        every.shape[1], _WORDS, niter=_ITERATIONS, seed=_SEED, spherical=True,
        max_points_per_centroid=len(every),
    )  # fmt: skip
    means.train(every)
    # As the file keeps them.
    return np.asarray(means.centroids, np.float16).astype(np.float32)


def _vlads(scene: Described, words: Rows) -> Rows:
    return np.stack([vlad(own.astype(np.float32), words) for own in scene.features])


def _shortening(scenes: Sequence[Rows], count: int) -> tuple[Rows, Rows]:
    """Return projection [count, C] and offset [count] onto principal components, best first.

    Scenes count alike, however many images they have. Where there are fewer components than
    `count`, the others are 0.
    """
    every = np.concatenate(scenes)
    mean = every.mean(axis=0)
    weights = np.concatenate([np.full((len(one), 1), len(one) ** -0.5) for one in scenes])
    components = np.linalg.svd((every - mean) * weights, full_matrices=False)[2][:count]
    projection = np.zeros((count, len(mean)), np.float32)
    # As the file keeps them.
    projection[: len(components)] = components.astype(np.float16)
    return projection, -projection @ mean


def _ways(scene: Described, head: LocalHead) -> tuple[Rows, Rows, Rows]:
    """Return what images are compared by: the network, the VLAD, and both joined."""
    features = [own.astype(np.float32) for own in scene.features]
    joined = map(head.join, scene.network, features)
    return scene.network, _vlads(scene, head.words), np.stack(list(joined))


def _recall(similarity: Rows, right: NDArray[np.bool_]) -> float:
    """Return the share of the queries [q, d] with a match whose most similar image is one."""
    found = right[np.arange(len(right)), similarity.argmax(axis=1)]
    return float(found[right.any(axis=1)].mean())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the five scenes")
    parser.add_argument("--out", type=Path, help="model folder to write")
    parser.add_argument("--judge", action="store_true", help="print what scenes left out lose")
    return parser


if __name__ == "__main__":
    main()
