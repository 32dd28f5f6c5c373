"""A short trial of the ways to run a model: which agree with torch, and which is fastest."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ProgeoError
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.runtime import REFERENCE, Variant

# Smallest cosine with what torch computes in float32, of every trial image.
MIN_AGREEMENT = 0.999
_ROUNDS = 5
_PICTURES = Path(__file__).parent.parent / "demo_data"
_TRIAL_IMAGES = (
    "corridor/ref/0000000.jpg",
    "corridor/query/0000050.jpg",
    "campus_loop/dataset/image_0.png",
    "campus_loop/dataset/image_30.png",
)

_log = logging.getLogger(__name__)


Built = TypeVar("Built")


class Workbench(Protocol[Built]):
    """Builder of what runs one network on one device."""

    @property
    def name(self) -> str:
        """Return the name of the network for messages."""
        ...

    def build(self, variant: Variant) -> Built:
        """Return what runs the network; `ProgeoError` where it cannot be had."""
        ...

    def answers(self, built: Built, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return what the network answers to images, as one vector [D] for each."""
        ...

    def forget_export(self) -> None:
        """Let the network be exported again."""
        ...


@dataclasses.dataclass(frozen=True)
class TrialResult(Generic[Built]):
    """Fastest variant that agrees, what runs it, and the reference's answers [t, D]."""

    variant: Variant
    built: Built
    expected: NDArray[np.float32]


def run_trial(
    bench: Workbench[Built],
    candidates: Sequence[Variant],
    clock: Callable[[], float] = time.process_time,
) -> TrialResult[Built]:
    """Try variants on shipped images; return the fastest that agrees.

    Of each runtime the first precision that agrees is timed, in turns with the reference. clock:
    seconds; those of the processor suit a CPU, where other programs may run at the same time.
    Raises `ProgeoError` where none can be used.
    """
    images = trial_images()
    reference = bench.build(REFERENCE)
    expected = bench.answers(reference, images)
    best: TrialResult[Built] | None = None
    shortest, refused = np.inf, []
    runtimes = list(dict.fromkeys(one.runtime for one in candidates))
    for runtime in runtimes:
        own = [one for one in candidates if one.runtime == runtime]
        try:
            variant, built = _first_that_agrees(bench, own, images, expected)
        except ProgeoError as error:
            _log.info("%s", error)
            refused.append(str(error))
            continue
        share = 1.0
        if variant != REFERENCE and len(runtimes) > 1:
            share = _share_of_time(bench, built, reference, images[0], clock)
            _log.info("%s takes %.2f of the time of %s", variant, share, REFERENCE)
        if share < shortest:
            best, shortest = TrialResult(variant, built, expected), share
    if best is None:
        raise ProgeoError("; ".join(refused))
    return best


def trial_images() -> list[Image]:
    """Read the shipped images that trials are made on."""
    return [read_image(_PICTURES / name) for name in _TRIAL_IMAGES]


def agreement(answers: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the smallest cosine of rows [t, D] with those expected; NaN for what is not finite."""
    lengths = np.linalg.norm(answers, axis=1) * np.linalg.norm(expected, axis=1)
    return float(np.min(np.sum(answers * expected, axis=1) / lengths))


def _first_that_agrees(
    bench: Workbench[Built],
    own: Sequence[Variant],
    images: Sequence[Image],
    expected: NDArray[np.float32],
) -> tuple[Variant, Built]:
    """Return the first variant of one runtime that agrees; `ProgeoError` where none does."""
    said = ""
    for variant in own:
        built = bench.build(variant)
        cosine = agreement(bench.answers(built, images), expected)
        if cosine >= MIN_AGREEMENT:
            return variant, built
        said = (
            f"{variant} is refused: its descriptors have a cosine of {cosine:.4f} with those of"
            f" {REFERENCE}, at least {MIN_AGREEMENT} is needed; use another runtime"
        )
        _log.info("%s", said)
    raise ProgeoError(said)


def _share_of_time(
    bench: Workbench[Built],
    built: Built,
    reference: Built,
    image: Image,
    clock: Callable[[], float],
) -> float:
    """Return how long an image takes, as a share of what the reference takes for it."""
    turns = [
        tuple(_seconds(bench, one, image, clock) for one in (built, reference))
        for _ in range(_ROUNDS)
    ]
    ours, theirs = (min(durations) for durations in zip(*turns, strict=True))
    return float(ours / theirs)


def _seconds(
    bench: Workbench[Built], built: Built, image: Image, clock: Callable[[], float]
) -> float:
    started = clock()
    bench.answers(built, [image])
    return clock() - started
