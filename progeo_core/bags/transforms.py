"""Poses of a frame in another from the transforms of a bag: `/tf` and `/tf_static`."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from progeo_core.bags.messages import DAMAGED_MESSAGE, TRANSFORMS, typestore
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Frame
from progeo_core.poses.pose_messages import StampedTransform, read_transforms
from progeo_core.poses.pose_track import PoseTrack
from progeo_core.poses.transform_tree import TransformTree

if TYPE_CHECKING:
    from progeo_core.bags.reader import Bag

_log = logging.getLogger(__name__)
_SHOWN = 10


class PoseFrames(NamedTuple):
    """Frames of tf whose pose is meant: that of `base` in `map`."""

    map: str = "map"
    base: str = "base_link"

    @classmethod
    def from_text(cls, text: str) -> PoseFrames:
        """Read "MAP,BASE"; raise `UsageError` for anything else."""
        names = [name.strip().lstrip("/") for name in text.split(",")]
        if len(names) != 2 or not all(names):
            raise UsageError(f"'{text}' is not two frames: write MAP,BASE, such as map,base_link")
        return cls(*names)


def transform_track(bag: Bag, topic: str, frames: PoseFrames, max_gap_s: float) -> PoseTrack:
    """Return the poses of a frame in the map by `topic` and `topic`_static.

    max_gap_s: a frame in between needs a pose on either side within this time (s). Raises
    `DataError` where nothing connects the frames, or none of them moves.
    """
    tree, dropped = _read_tree(bag, topic)
    inside, frame = frames.map.lstrip("/"), frames.base.lstrip("/")
    stamps = tree.stamps(frame, inside)
    poses = tree.at(stamps, frame, inside, max_gap_s)
    if poses is None:
        names = tree.frames.names()
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        raise DataError(
            f"{bag.path}: '{topic}' does not connect '{frame}' with '{inside}'; it has"
            f" {shown or 'no frames'}: name others with --tf-frames MAP,BASE"
        )
    track = PoseTrack.from_poses(
        stamps, poses.position, Frame.LOCAL, poses.heading_rad, poses.orientation
    )
    if not len(track):
        raise DataError(
            f"{bag.path}: '{frame}' has no poses in '{inside}' by '{topic}': no frame between them"
            f" moves, or none is known within {max_gap_s:g} s of the others"
        )
    lost = dropped + track.dropped
    if lost:
        _log.warning("%s: %d transforms of '%s' could not be used", bag.path, lost, topic)
    return dataclasses.replace(track, dropped=lost)


def _read_tree(bag: Bag, topic: str) -> tuple[TransformTree, int]:
    """Return the frames of a bag, and how many transforms could not be used."""
    tree, dropped = TransformTree(), 0
    fixed = bag.topics.get(f"{topic}_static")
    if fixed is not None and fixed.type == TRANSFORMS and fixed.count:
        for one in _transforms(bag, f"{topic}_static"):
            dropped += not tree.frames.add(one.parent, one.child, one.pose)
    for one in _transforms(bag, topic):
        dropped += not tree.add(*one)
    return tree, dropped


def _transforms(bag: Bag, topic: str) -> Iterator[StampedTransform]:
    damaged = 0
    for message in bag.raw_messages([topic]):
        try:
            yield from read_transforms(typestore().deserialize_cdr(message.data, TRANSFORMS))
        except DAMAGED_MESSAGE:
            damaged += 1
    if damaged:
        _log.warning("%s: %d messages of '%s' are damaged", bag.path, damaged, topic)
