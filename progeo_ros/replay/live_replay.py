"""Replay a bag through the real node over DDS.

Run as `python -m progeo_ros.replay.live_replay BAG --map MAP …`.

The node runs in its own process; this one plays the bag at its pace and collects the answers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rich.console import Console
from rich.progress import track

from progeo_core.errors import ProgeoError
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.poses.extrinsics import Extrinsics
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.process.dds_environment import dds_environment
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.replay.bag_player import BagPlayer, SentImage
from progeo_ros.settings import NODE

SCHEMA = 1
# After this silence an idle node has nothing more to say: five rounds of diagnostics.
_SILENCE_S = 5.0
# The robot of a replay is its camera, so that poses are those of the camera, with x ahead.
_MOUNT = "0 0 0 -0.5 0.5 -0.5 0.5"


class Received(NamedTuple):
    """A status message of the node, and when it came (ns, system clock)."""

    status: DiagnosticArray
    answered_ns: int


class LiveReplay:
    """Replay of a bag to a running node, with its answer to every image."""

    def __init__(self, node: Node, player: BagPlayer) -> None:
        """Listen to the node's answers and diagnostics; nothing is played yet."""
        self.player = player
        self.sent: list[SentImage] = []
        self.received: list[Received] = []
        self._counts: dict[str, str] = {}
        self._progress_at = 0.0
        self._camera_name = f"{NODE}: camera {player.published_topic}"
        self._playing = threading.Thread(target=self._play, name="bag_player", daemon=True)
        answers = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(DiagnosticArray, f"/{NODE}/status", self._on_status, answers)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def run(self, executor: SingleThreadedExecutor, node: LocalizerProcess) -> None:
        """Play the whole bag; return when all images are accounted for, or none is any more."""
        self._spin_until(self._is_connected, executor, node)
        self._playing.start()
        try:
            self._spin_until(lambda: not self._playing.is_alive(), executor, node)
            self._spin_until(lambda: self._is_complete() or self._is_over(), executor, node)
        finally:
            self.player.stop()
            self._playing.join()

    def summary(self) -> dict[str, Any]:
        """Return what answers.json holds.

        images = answered + dropped. dropped_by says why: superseded by a newer image, unusable
        (failed), lost in transport, refused by the middleware, or unaccounted for. skipped: what
        the node says of the last unusable one, if any.
        """
        answers = self._answers()
        dropped = len(self.sent) - len(answers)
        causes = {
            "superseded": self._count("dropped"),
            "failed": self._count("failed"),
            "lost": self._count("lost"),
            "refused": self.player.refused,
        }
        causes["unaccounted"] = dropped - sum(causes.values())
        failure = self._counts.get("last_failure", "")
        return {
            "schema": SCHEMA,
            "images": len(self.sent),
            "answered": len(answers),
            "dropped": dropped,
            "dropped_by": causes,
            "skipped": [failure] if failure else [],
            "answers": answers,
        }

    def _answers(self) -> list[dict[str, Any]]:
        sent_ns = {sent.stamp_ns: sent.sent_ns for sent in self.sent}
        answers = [parse_answer(received) for received in self.received]
        return [
            {**answer, "sent_ns": sent_ns[answer["stamp_ns"]]}
            for answer in answers
            if answer["stamp_ns"] in sent_ns
        ]

    def _play(self) -> None:
        console = Console(stderr=True)
        images = self.player.play()
        for sent in track(images, "playing the bag", self.player.count, console=console):
            self.sent.append(sent)

    def _on_status(self, message: DiagnosticArray) -> None:
        self.received.append(Received(message, time.time_ns()))
        self._progress_at = time.monotonic()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._camera_name:
                before, self._counts = self._given_up(), values_of(status)
                if self._given_up() != before:
                    self._progress_at = time.monotonic()

    def _count(self, name: str) -> int:
        return int(self._counts.get(name, 0))

    def _given_up(self) -> int:
        return sum(self._count(name) for name in ("dropped", "failed", "lost"))

    def _is_connected(self) -> bool:
        """Whether both sides have found each other: an image sent before that is lost."""
        return self.player.has_listener() and self._count("publishers") > 0

    def _is_complete(self) -> bool:
        """Whether every image was answered, or counted by the node as not to be answered."""
        accounted = len(self.received) + self._given_up() + self.player.refused
        return accounted >= len(self.sent)

    def _is_over(self) -> bool:
        """Whether the node is idle and has been silent: what is missing does not come."""
        idle = self._count("waiting") == 0
        return idle and time.monotonic() - self._progress_at > _SILENCE_S

    def _spin_until(
        self, done: Callable[[], bool], executor: SingleThreadedExecutor, node: LocalizerProcess
    ) -> None:
        """Handle messages until `done`; `ProgeoError` if the node ends before."""
        self._progress_at = time.monotonic()
        while not done():
            executor.spin_once(timeout_sec=0.1)
            node.check_alive()


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """Return the key-value pairs of a diagnostic status."""
    return {pair.key: pair.value for pair in status.values}


def parse_answer(received: Received) -> dict[str, Any]:
    """Return one answer of answers.json (without sent_ns) from the node's status message."""
    message, (status,) = received.status, received.status.status
    values = values_of(status)
    state, _, reason = status.message.partition(": ")
    yaw_rad = float(values["yaw"])
    return {
        "stamp_ns": stamp_to_ns(message.header.stamp),
        "answered_ns": received.answered_ns,
        "accepted": values["accepted"] == "True",
        "confidence": float(values["confidence"]),
        "position": [float(values[axis]) for axis in "xyz"],
        "yaw_rad": None if math.isnan(yaw_rad) else yaw_rad,
        "covariance": _numbers(values["covariance"]),
        "place_ids": [int(number) for number in _numbers(values["matches"])],
        "similarities": _numbers(values["similarities"]),
        "camera_pose": _camera_pose(values),
        "landmarks": int(values["landmarks"]),
        "state": state,
        "reason": reason,
    }


def _camera_pose(values: Mapping[str, str]) -> dict[str, list[float]] | None:
    """Return the full pose of the camera in a status, None where it is an answer of the places."""
    if values["method"] != "metric":
        return None
    position = np.array([float(values[axis]) for axis in "xyz"])
    orientation = np.array(_numbers(values["orientation"]))
    pose = Extrinsics.from_text(_MOUNT).camera_pose(position, orientation)
    return {"position": pose.position.tolist(), "orientation": pose.orientation.tolist()}


def replay(
    bag: Path,
    map_path: Path,
    image_topic: str,
    model: str,
    sequence: bool,
    verification_ms: int,
    intrinsics: Intrinsics | None,
) -> dict[str, Any]:
    """Replay a bag through the node in a domain of its own; return what answers.json holds.

    intrinsics: of the camera, None unknown.
    """
    # For both processes, and before the first participant reads it.
    os.environ.update(dds_environment())
    rclpy.init(args=[])
    try:
        node = Node("progeo_live_replay")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        player = BagPlayer(node, bag, image_topic, intrinsics)
        live = LiveReplay(node, player)
        parameters = {
            "map": map_path,
            "model": model,
            "cameras": [player.camera],
            "image_transport": player.image_transport,
            "camera_extrinsics": [_MOUNT],
            "localizer.sequence": sequence,
            "localizer.verification_ms": verification_ms,
        }
        with LocalizerProcess(parameters) as process:
            process.activate(node, executor)
            live.run(executor, process)
        node.destroy_node()
        return live.summary()
    finally:
        rclpy.try_shutdown()


def main(args: Sequence[str] | None = None) -> int:
    """Replay as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="progeo_ros.replay.live_replay", description=__doc__)
    parser.add_argument("bag", type=Path, help="rosbag2 folder or file")
    parser.add_argument("--map", type=Path, required=True, help="map file, NAME.progeo")
    parser.add_argument("--image-topic", required=True, help="raw or compressed images of the bag")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model that made the map")
    parser.add_argument(
        "--verification-ms",
        type=int,
        default=LocalizerSettings.verification_ms,
        help="localizer.verification_ms of the node",
    )
    parser.add_argument("--single", action="store_true", help="localizer.sequence false")
    parser.add_argument("--intrinsics", type=json.loads, help="calibration of the camera as JSON")
    parser.add_argument("--out", type=Path, required=True, help="answers.json to write")
    options = parser.parse_args(args)
    try:
        summary = replay(
            options.bag,
            options.map,
            options.image_topic,
            options.model,
            not options.single,
            options.verification_ms,
            None if options.intrinsics is None else Intrinsics.from_json(options.intrinsics),
        )
    except ProgeoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    options.out.write_text(json.dumps(summary), encoding="utf-8")
    return 0


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",") if number]


if __name__ == "__main__":
    sys.exit(main())
