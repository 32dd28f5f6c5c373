"""One way in: images with known positions from any path, recognised by what lies there.

What reads them is imported when it is needed, so that a wrong path is said at once.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from progeo_core.errors import DataError, UsageError
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.bags.reader import TopicInfo
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.records.image_source import ImageSource

TF_FRAMES = "map,base_link"
_BAG_SUFFIXES = (".mcap", ".db3", ".bag")
_BAG_FILE = "metadata.yaml"


class InputKind(enum.Enum):
    """Kind of an input: a table of records, a folder of images, or a bag."""

    TABLE = "table"
    FOLDER = "folder"
    BAG = "bag"


class Role(enum.Enum):
    """Part that the images play; folders of data sets have one folder for each."""

    DATABASE = "database"
    QUERIES = "queries"


class BagTopics(NamedTuple):
    """Topics of a bag and how its poses are read; None where the only one of its kind is meant.

    camera_poses: the poses are those of the camera. tf_frames: "MAP,BASE" of a topic of transforms.
    """

    image: str | None = None
    pose: str | None = None
    depth: str | None = None
    camera_poses: bool = False
    max_pose_gap_s: float = MAX_POSE_GAP_S
    tf_frames: str = TF_FRAMES


def require_new(path: Path) -> None:
    """Raise `UsageError` where a bag would replace what is there."""
    if path.exists():
        raise UsageError(f"{path} exists, and a bag is never overwritten: choose another path")


def recognize(path: Path) -> InputKind:
    """Return what lies at a path; `DataError` where that is nothing or nothing of use."""
    if path.is_dir():
        if (path / _BAG_FILE).is_file() or any(
            one.suffix in _BAG_SUFFIXES for one in path.iterdir()
        ):
            return InputKind.BAG
        return InputKind.FOLDER
    if not path.exists():
        raise DataError(f"{path}: there is nothing here; check the path")
    suffix = path.suffix.lower()
    if suffix in _BAG_SUFFIXES:
        return InputKind.BAG
    if suffix in {".csv", ".txt", ".tsv"}:
        return InputKind.TABLE
    hint = ""
    if suffix in {".jpg", ".jpeg", ".png", ".heic"}:
        hint = " One image has no truth to compare with; `progeo localize` answers it."
    elif suffix == ".progeo":
        hint = " A map is no source of images."
    raise DataError(
        f"{path}: this is no table (.csv), folder of images, or bag (folder, .mcap, .db3).{hint}"
    )


def source_of_path(
    path: Path,
    role: Role,
    topics: BagTopics | None = None,
    heading: Heading = Heading.UNKNOWN,
    calibration: Intrinsics | None = None,
    kind: InputKind | None = None,
) -> ImageSource:
    """Read images with known positions from a table, a folder or a bag.

    kind: what the path is, None to recognise it. role: of a folder with `database` and `queries`
    in it, which one is read. topics: of a bag, None for the only ones it has. heading: meaning of
    the heading in '@' names. calibration: of every camera, instead of what a bag has.
    Raises `DataError` for what cannot be read, and `UsageError`
    for topics without a bag or a choice that is not made.
    """
    from progeo_core.bags.bag_source import source_of_bag
    from progeo_core.bags.transforms import PoseFrames
    from progeo_core.records.image_source import source_of_folder, source_of_records

    kind = kind or recognize(path)
    if kind is not InputKind.BAG and topics not in {None, BagTopics()}:
        raise UsageError(
            f"{path} is a {kind.value}: --image-topic, --pose-topic, --depth-topic, --camera-poses,"
            " --max-pose-gap and --tf-frames go with a bag"
        )
    if kind is InputKind.TABLE:
        return source_of_records(path, calibration)
    if kind is InputKind.FOLDER:
        return source_of_folder(role_folder(path, role), heading, calibration)
    chosen = choose_topics(path, topics or BagTopics())
    assert chosen.image is not None
    assert chosen.pose is not None
    return source_of_bag(
        path,
        chosen.image,
        chosen.pose,
        chosen.max_pose_gap_s,
        depth_topic=chosen.depth,
        calibration=calibration,
        camera_pose=chosen.camera_poses,
        frames=PoseFrames.from_text(chosen.tf_frames),
    )


def role_folder(folder: Path, role: Role) -> Path:
    """Return the folder of a data set that has the images of a role, or the folder itself."""
    inner = folder / role.value
    return inner if inner.is_dir() else folder


def choose_topics(
    bag_path: Path, topics: BagTopics, pose_option: str = "--pose-topic"
) -> BagTopics:
    """Return the topics with the only image and pose topic of a bag where none is named.

    pose_option: what chooses the latter. Raises `UsageError` where the bag has several or none.
    """
    if topics.image is not None and topics.pose is not None:
        return topics
    from progeo_core.bags.messages import IMAGE_TYPES, POSE_FRAMES
    from progeo_core.bags.reader import Bag

    with Bag(bag_path) as bag:
        found = dict(bag.topics)
    image = topics.image or _only(bag_path, found, IMAGE_TYPES, "image", "--image-topic")
    pose = topics.pose or _only(bag_path, found, tuple(POSE_FRAMES), "pose", pose_option)
    return topics._replace(image=image, pose=pose)


def _only(
    path: Path, topics: dict[str, TopicInfo], types: tuple[str, ...], kind: str, option: str
) -> str:
    fitting = sorted(name for name, info in topics.items() if info.type in types and info.count)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UsageError(
            f"{path}: the bag has no {kind} topic; it has {', '.join(sorted(topics)) or 'none'}"
        )
    raise UsageError(f"{path}: several {kind} topics, choose with {option}: {', '.join(fitting)}")
