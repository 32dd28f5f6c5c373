"""Places by words, over DDS: with the text side of a CLIP, and where the model has none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from geometry_msgs.msg import PoseArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import String

from progeo_core.inference.loading import load_encoder
from progeo_core.localization import find_places
from progeo_core.localization.find_places import WordFinder
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.word_encoder import load_word_encoder
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records
from progeo_ros.localizer_node import LocalizerNode

pytestmark = pytest.mark.slow  # every test loads networks and starts the whole node

NODE, WORDS = "/progeo_localizer", "a red fire extinguisher"
# A CLIP that takes no time.
SMALL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


class Robot:
    """Active node on a map, and somebody who asks it for places."""

    def __init__(self, peer, path: Path) -> None:
        given: dict[str, Any] = {"map": str(path), "device": "cpu", "runtime": "torch"}
        given |= {"localizer.verification_ms": 0}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.node = LocalizerNode(parameter_overrides=overrides)
        assert self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        self._peer = peer
        peer.executor.add_node(self.node)
        self._ask = peer.node.create_publisher(String, f"{NODE}/find_place", 10)
        self._places = peer.collect(PoseArray, f"{NODE}/found_places")
        self._documents = peer.collect(String, f"{NODE}/found_places_json")
        peer.wait_for(self._ask.get_subscription_count, "the node's ears")

    def find(self, words: str) -> tuple[PoseArray, dict[str, Any]]:
        """Ask until an answer to these words comes, as the node may not know its reader at first.

        Each place comes before its document.
        """
        answer: dict[str, Any] = {}
        while answer.get("words") != words or not self._places:
            self._ask.publish(String(data=words))
            seen = len(self._documents)
            for _ in range(100):
                if len(self._documents) == seen:
                    self._peer.executor.spin_once(timeout_sec=0.05)
            answer = json.loads(self._documents[-1].data) if self._documents else {}
        return self._places[-1], answer

    def end(self) -> None:
        self._peer.executor.remove_node(self.node)
        self.node.destroy_node()


@pytest.fixture
def robots(peer) -> Iterator[Any]:
    """Start a robot, and end it with the test."""
    started: list[Robot] = []

    def start(path: Path) -> Robot:
        started.append(Robot(peer, path))
        return started[-1]

    yield start
    for robot in started:
        robot.end()


def test_the_node_finds_what_the_command_finds(
    robots, places: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    (tmp_path / "small-clip.json").write_text(json.dumps(SMALL))
    open_clip.add_model_config(tmp_path / "small-clip.json")
    torch.save(open_clip.create_model("small-clip").state_dict(), tmp_path / "clip.pt")
    model, path = f"small-clip:{tmp_path / 'clip.pt'}", tmp_path / "corridor.progeo"
    build_map(path, FileSource(places), load_encoder(model, "cpu", "torch"))
    with PlaceMap.open(path) as place_map:
        expected = WordFinder(load_word_encoder(model)).find(place_map, WORDS, 5)
    robot = robots(path)

    poses, document = robot.find(WORDS)
    assert (document["words"], document["map"]) == (WORDS, str(path))
    assert [one["place_id"] for one in document["places"]] == [
        one.place_id for one in expected.places
    ]
    assert document["here"] == expected.here == bool(poses.poses)

    # Random weights find nothing: let everything count as found.
    monkeypatch.setattr(find_places, "MAX_CHANCE", 1.0)
    poses, document = robot.find("a yellow gate")
    assert poses.header.frame_id == "map"
    assert poses.header.stamp.sec > 0
    found = [(pose.position.x, pose.position.y) for pose in poses.poses]
    assert found == [(one["x_m"], one["y_m"]) for one in document["places"]]
    assert "WORDS is empty" in robot.find("  ")[1]["error"]


def test_a_model_without_texts_says_so_once(robots, corridor_map: Path, capfd) -> None:
    robot = robots(corridor_map)
    for _ in range(2):
        poses, document = robot.find(WORDS)
        assert not poses.poses
        assert "was never trained with texts" in document["error"]
    said = capfd.readouterr().err
    assert said.count("places cannot be found by words") == 1
