"""Loop closures of a drive as one HTML page: a plan with a line for each, and both its pictures.

The page holds its data, style and script, and its policy forbids the browser to request anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import counted
from progeo_core.evaluation.self_contained import PageKind, embed_bytes
from progeo_core.geo import FloatArray
from progeo_core.images.codec import decode_image, make_thumbnail

LOOP_PAGE = PageKind("loops", "loops")
# Pictures that share fewer local features may show two places: of 150 right closures of two
# corridors one does (two wrong ones have 33 and 37), of 32 right pairs in an office none; of the
# three places elsewhere that look most alike, .93 (corridor), .73 (campus) and .44 (loop) do.
FEW_INLIERS = 45
# With more pictures than this, they are smaller, so that the page stays below 15 MB.
_MANY, _SIDE_PX, _SMALL_PX = 400, 320, 160


class DriveView(NamedTuple):
    """Keyframes of a drive as a page shows them.

    position: [n, 2] x, y (m) by odometry. stamp_ns, segment: [n]; a new segment begins where the
    odometry restarted. path_length_m: [n] driven within it. images: n names. pictures: n JPEGs.
    """

    position: FloatArray
    stamp_ns: NDArray[np.int64]
    segment: NDArray[np.int64]
    path_length_m: FloatArray
    images: Sequence[str]
    pictures: Sequence[bytes]


class LoopView(NamedTuple):
    """One closure as a page shows it: keyframes' rows `query` and `match`, and what speaks for it.

    inliers: local features that one rigid scene explains. offset_m, turn_rad: of the query as seen
    from the match; offset_m is None where it is unknown. by_landmarks: whether landmarks told that.
    """

    query: int
    match: int
    similarity: float
    log_odds: float
    pairs: int
    inliers: int
    offset_m: float | None
    turn_rad: float
    by_landmarks: bool


def write_loop_page(path: Path, name: str, drive: DriveView, loops: Sequence[LoopView]) -> int:
    """Write the page of a drive; return its bytes. `PageKind.write` says what it raises."""
    LOOP_PAGE.check(path)
    data = _page_data(name, drive, loops)
    title = f"{name}: {counted(len(loops), 'loop closure')}"
    package = "progeo_core.evaluation.loop_view"
    return LOOP_PAGE.write(path, LOOP_PAGE.fill(package, "loop_page", title, data))


def _page_data(name: str, drive: DriveView, loops: Sequence[LoopView]) -> dict[str, Any]:
    """Return what the script of the page reads."""
    shown = sorted({row for one in loops for row in (one.query, one.match)})
    side = _SIDE_PX if len(shown) <= _MANY else _SMALL_PX
    picture = np.full(len(drive.images), -1)
    picture[shown] = np.arange(len(shown))
    small = (
        make_thumbnail(decode_image(drive.pictures[row], drive.images[row]), side) for row in shown
    )
    time = (drive.stamp_ns - drive.stamp_ns[0]) * 1e-9
    length_m = sum(
        float(drive.path_length_m[drive.segment == one].max()) for one in np.unique(drive.segment)
    )
    few = sum(one.inliers < FEW_INLIERS for one in loops)
    return {
        "name": name,
        "lead": f"{counted(len(loops), 'loop closure')} between {len(drive.images)} keyframes,"
        f" {few} of them with pictures that agree little.",
        "span": f"{length_m:.0f} m in {time[-1]:.0f} s, by odometry.",
        "none": "The drive may not come back to where it was, in the same direction; or too few"
        " images in a row look alike there. A smaller --min-log-odds closes less certain loops.",
        "few_inliers": FEW_INLIERS,
        "x": drive.position[:, 0].round(3).tolist(),
        "y": drive.position[:, 1].round(3).tolist(),
        "time": time.round(2).tolist(),
        "segment": drive.segment.tolist(),
        "images": [Path(one).name for one in drive.images],
        "picture": picture.tolist(),
        "pictures": [embed_bytes(one) for one in small],
        "loops": [_loop_data(drive, one) for one in loops],
    }


def _loop_data(drive: DriveView, loop: LoopView) -> dict[str, Any]:
    apart = drive.position[loop.query] - drive.position[loop.match]
    driven = abs(drive.path_length_m[loop.query] - drive.path_length_m[loop.match])
    return {
        "query": loop.query,
        "match": loop.match,
        "similarity": round(loop.similarity, 3),
        "odds": round(loop.log_odds, 2),
        "pairs": loop.pairs,
        "inliers": loop.inliers,
        "apart_m": round(float(np.linalg.norm(apart)), 3),
        "driven_m": round(float(driven), 2),
        "offset_m": None if loop.offset_m is None else round(loop.offset_m, 3),
        "turn_deg": round(float(np.degrees(loop.turn_rad)), 1),
        "by_landmarks": loop.by_landmarks,
    }
