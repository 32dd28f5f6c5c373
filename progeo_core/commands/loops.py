"""`progeo loops`: the loop closures of a recorded drive, as one page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import BagTopics, Role, source_of_path
from progeo_core.commands.console import print_fields, progress, say_skipped, waiting
from progeo_core.commands.map_images import ImageTopicOption, PoseTopicOption
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    ModelOption,
    RuntimeOption,
    TrustFlag,
    read_intrinsics,
    setting_option,
)
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings

if TYPE_CHECKING:
    from progeo_core.evaluation.loop_view.loop_page import DriveView, LoopView
    from progeo_core.slam.recorded_session import RecordedSession

_LOOPS, _KEYFRAMES = LoopClosureSettings(), KeyframeSettings()
# Variances (m²) above this stand for what is unknown.
_UNKNOWN_M2 = 1e5

_DriveArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DRIVE",
        help="One drive with its odometry: a bag, a table (CSV) or a folder, in the order of time.",
        show_default=False,
    ),
]
_OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Page to write; one that `progeo loops` wrote before is replaced. Default: the"
        " drive's name with .html, in this folder.",
    ),
]
_LogOddsOption = Annotated[
    float, setting_option(LoopClosureSettings, "min_log_odds", "--min-log-odds", "L")
]
_DistanceOption = Annotated[
    float, setting_option(KeyframeSettings, "distance_m", "--keyframe-distance", "M")
]


def loops(
    drive: _DriveArgument,
    out: _OutOption = None,
    image_topic: ImageTopicOption = None,
    pose_topic: PoseTopicOption = None,
    camera_info: CameraInfoOption = None,
    min_log_odds: _LogOddsOption = _LOOPS.min_log_odds,
    distance: _DistanceOption = _KEYFRAMES.distance_m,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Close the loops of a recorded drive, and write them as a page to look at.

    The closures are those that the node publishes with `close_loops` on such a drive. On the plan,
    each is a line between two keyframes; a tap shows both pictures side by side, with the features
    that they share and what odometry says. The page needs no network.

        progeo loops drive/ --pose-topic /odom
        progeo loops drive.csv --camera-info camera.yaml --out loops.html
    """
    from progeo_core.evaluation.loop_view.loop_page import LOOP_PAGE, write_loop_page

    path = Path(f"{drive.resolve().stem}.html") if out is None else out
    LOOP_PAGE.check(path)
    calibration = read_intrinsics(camera_info)
    topics = BagTopics(image_topic, pose_topic)
    source = source_of_path(drive, Role.QUERIES, topics, calibration=calibration)
    with waiting("loading the model"):
        from progeo_core.inference.feature_extractor import shared_extractor
        from progeo_core.inference.loading import load_encoder
        from progeo_core.slam.recorded_session import close_recorded_loops

        encoder = load_encoder(model, device, runtime, trust_code=trust_code)
        extractor = shared_extractor(device, runtime)
    with progress("driving once more", len(source.records)) as advance:
        session = close_recorded_loops(
            source,
            encoder,
            extractor,
            LoopClosureSettings(min_log_odds=min_log_odds),
            KeyframeSettings(distance_m=distance),
            advance,
        )
    say_skipped(session.skipped)
    page_bytes = write_loop_page(path, drive.resolve().name, _drive(session), _closures(session))
    counts = {"keyframes": len(session.keyframes), "loop closures": len(session.closures)}
    print_fields(str(drive), {**counts, "page": f"{path}, {page_bytes / 1e6:.1f} MB"})


def _drive(session: RecordedSession) -> DriveView:
    import numpy as np

    from progeo_core.evaluation.loop_view.loop_page import DriveView

    keyframes = session.keyframes
    return DriveView(
        np.array([one.pose[:2] for one in keyframes]),
        np.array([one.stamp_ns for one in keyframes]),
        np.array([one.segment for one in keyframes]),
        np.array([one.path_length_m for one in keyframes]),
        session.images,
        session.pictures,
    )


def _closures(session: RecordedSession) -> list[LoopView]:
    from progeo_core.evaluation.loop_view.loop_page import LoopView

    row_of = {one.stamp_ns: row for row, one in enumerate(session.keyframes)}
    found = []
    for closure, inliers in session.closures:
        x, y, turn = closure.relative.pose.tolist()
        known = closure.relative.covariance[0, 0] < _UNKNOWN_M2
        found.append(
            LoopView(
                row_of[closure.query.stamp_ns],
                row_of[closure.match.stamp_ns],
                closure.similarity,
                closure.log_odds,
                closure.pairs,
                inliers,
                math.hypot(x, y) if known else None,
                turn,
                closure.relative.full is not None,
            )
        )
    return found
