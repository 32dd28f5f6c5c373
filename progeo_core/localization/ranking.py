"""What goes into a ranker of places, and what comes out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.decision import Decision
from progeo_core.poses.pose_estimate import PoseEstimate


class Query(NamedTuple):
    """One image to rank places for.

    descriptor: [D] of unit length, as the map keeps them. standardized: [D] the same in the map's
    standardization. candidates: rows of the most similar places. image: for verification, None to
    do without. intrinsics: of its camera, None unknown.
    """

    stamp_ns: int
    camera: str
    descriptor: NDArray[np.float32]
    standardized: NDArray[np.float32]
    candidates: NDArray[np.int64]
    image: Image | None
    intrinsics: Intrinsics | None = None


class Ranking(NamedTuple):
    """Rows of places [k], best first, their similarities [k], and what follows from them."""

    rows: NDArray[np.int64]
    similarity: FloatArray
    estimate: PoseEstimate
    decision: Decision
