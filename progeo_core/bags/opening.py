"""Open the files of a rosbag2, or say what is wrong with them and which command repairs that."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from progeo_core.errors import DataError

# What an mcap file begins with, and ends with if its recorder could finish it.
_MCAP_MAGIC = b"\x89MCAP0\r\n"


def open_bag(path: Path) -> Any:
    """Return an open reader of rosbags; `DataError` for a bag that is missing or unusable."""
    if not path.exists():
        raise DataError(f"{path}: there is no such bag; give its folder, or its .mcap or .db3 file")
    if path.suffix == ".bag" and path.is_file():
        raise DataError(
            f"{path}: this is a ROS 1 bag; convert it: rosbags-convert --src {path} --dst FOLDER"
        )
    if path.suffix == ".zstd" and path.is_file():
        raise DataError(
            f"{path}: this is one compressed file of a bag: give the folder with its metadata.yaml,"
            f" or decompress it, zstd -d {path}, and give {path.stem}"
        )
    unfinished = _unfinished_mcap(path)
    if unfinished is not None:
        raise DataError(
            f"{path}: the bag cannot be read: {unfinished.name} has no end, as its recorder was"
            f" killed; run `mcap recover {unfinished} -o recovered.mcap` (mcap.dev), and use"
            " recovered.mcap"
        )
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise DataError(
            f"{path}: not a rosbag2 (no metadata.yaml); if the recorder was killed, run"
            f" `ros2 bag reindex {path}`, or give the .mcap or .db3 file inside"
        )
    try:
        reader = Reader(path)
        reader.open()
        _check_topics(reader)
        _join_by_name(reader)
    except Exception as error:  # damage shows itself as almost any exception of the reader
        raise DataError(
            f"{path}: the bag cannot be read ({error}); use a copy, or `ros2 bag reindex`"
        ) from error
    return reader


def _check_topics(reader: Any) -> None:
    """Raise `ValueError` where metadata.yaml has topics of other types than it should."""
    for one in reader.connections:
        named = isinstance(one.topic, str) and isinstance(one.msgtype, str)
        if not (named and isinstance(one.msgcount, int)):
            raise ValueError(f"topic {one.topic!r} of {one.msgcount!r} messages"[:200])


def _join_by_name(reader: Any) -> None:
    """Make the topics of metadata.yaml and of the files the same where their names and types are.

    The reader also compares QoS profiles and type hashes, which recorders wrote in one of the two,
    or in another form; it then finds no message of the topic.
    """
    stated = {(one.topic, one.msgtype): one for one in reader.connections}
    for storage in getattr(reader.storage, "storages", ()):
        for number, one in enumerate(storage.connections):
            same = stated.get((one.topic, one.msgtype))
            if same is not None:
                storage.connections[number] = one._replace(ext=same.ext, digest=same.digest)


def _unfinished_mcap(path: Path) -> Path | None:
    """Return the first mcap file of a bag that was not finished."""
    for file in sorted(path.glob("*.mcap")) if path.is_dir() else [path]:
        # What cannot be read at all is for the reader to say.
        with contextlib.suppress(OSError), file.open("rb") as content:
            if content.read(len(_MCAP_MAGIC)) != _MCAP_MAGIC:
                continue
            content.seek(-len(_MCAP_MAGIC), os.SEEK_END)
            if content.read() != _MCAP_MAGIC or content.tell() == len(_MCAP_MAGIC):
                return file
    return None
