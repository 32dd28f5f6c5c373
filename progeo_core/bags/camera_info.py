"""Calibration of a camera, as a bag has it beside the camera's images."""

from __future__ import annotations

import logging

from progeo_core.bags.messages import CAMERA_INFO, read_calibration_message
from progeo_core.bags.reader import Bag
from progeo_core.images.intrinsics import Intrinsics, info_topic, is_rectified

_log = logging.getLogger(__name__)


def calibration_in(bag: Bag, image_topic: str) -> Intrinsics | None:
    """Return the first usable calibration of `camera_info` beside an image topic, if any.

    A topic whose messages are all of no camera, as of one that was never calibrated, is warned of.
    """
    images = image_topic.removesuffix("/compressed")
    topic = info_topic(images)
    info = bag.topics.get(topic)
    if info is None or info.type != CAMERA_INFO or not info.count:
        return None
    why = ""
    for message in bag.raw_messages([topic]):
        found = read_calibration_message(message.data, is_rectified(images))
        if isinstance(found, Intrinsics):
            return found
        why = why or found
    _log.warning(
        "%s: no message of '%s' has a calibration that can be used (the first: %s); calibrate the"
        " camera, or give a file of its calibration",
        bag.path,
        topic,
        why,
    )
    return None
