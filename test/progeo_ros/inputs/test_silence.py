"""The reasons for silence, with real publishers of what was meant and of what was not."""

from typing import Any

import pytest
from sensor_msgs.msg import CompressedImage, Image, Imu

from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.inputs.images import ImageInput
from progeo_ros.inputs.silence import reason_for_silence
from progeo_ros.settings import NodeSettings

NOTHING: dict[str, Any] = {"publishers": 0, "lost": 0, "mismatch": ""}


class Lines:
    """Logger that keeps its lines, in the place of a node's."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(
    ("kind", "published", "asked", "transport", "said"),
    [
        (
            CompressedImage,
            "/a/compressed",
            "/a/compressed",
            "raw",
            "name the camera /a",
        ),
        (Image, "/b/compressed", "/b/compressed", "compressed", "image_transport to raw"),
        (Imu, "/c", "/c", "raw", "carries sensor_msgs/msg/Imu"),
        (CompressedImage, "/d/compressed", "/d", "raw", "set image_transport to compressed"),
        (Image, "/e", "/e/compressed", "compressed", "set image_transport to raw"),
        (CompressedImage, "/f/compressed", "/f/compressed/compressed", "compressed", "camera /f"),
        (Image, "/g", "/misspelt", "raw", "images are on /g"),
    ],
)
def test_what_is_published_instead_is_named_with_the_fix(
    peer, kind: Any, published: str, asked: str, transport: str, said: str
) -> None:
    publisher = peer.node.create_publisher(kind, published, 1)
    peer.wait_for(lambda: peer.node.count_publishers(published), "the publisher")
    assert said in reason_for_silence(peer.node, asked, transport, **NOTHING)
    peer.node.destroy_publisher(publisher)
    peer.wait_for(lambda: not peer.node.count_publishers(published), "its end")


def test_images_of_answers_are_no_camera(peer) -> None:
    for name in ("/ada/progeo_localizer/match_image", "/ada/camera"):
        publisher = peer.node.create_publisher(CompressedImage, name, 1)
        peer.wait_for(lambda name=name: peer.node.count_publishers(name), "the publisher")
        reason = reason_for_silence(peer.node, "/misspelt", "raw", **NOTHING)
        assert "match_image" not in reason
        assert ("images are on /ada/camera" in reason) == (name == "/ada/camera")
        peer.node.destroy_publisher(publisher)


def test_a_publisher_that_is_silent_lost_or_does_not_match_is_told_apart(peer) -> None:
    def reason(**known: Any) -> str:
        return reason_for_silence(peer.node, "/camera", "raw", **{**NOTHING, **known})

    assert reason(publishers=2) == "2 publisher(s)"
    assert "5 were sent and lost" in reason(publishers=1, lost=5)
    assert "(RELIABILITY)" in reason(mismatch="RELIABILITY")
    assert "nobody publishes the topic" in reason()


def test_silence_is_on_the_console_once_and_again_when_it_comes_back(
    peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Lines()
    statistics = CameraStatistics()
    source = ImageInput(peer.node, "/quiet", NodeSettings(), statistics, lambda *_: None)
    monkeypatch.setattr(peer.node, "get_logger", lambda: log)
    assert source.explain_silence(timeout_s=60.0) == ""
    for _ in range(3):
        assert "nobody publishes" in source.explain_silence(timeout_s=0.0)
    assert len(log.lines) == 1
    assert log.lines[0].startswith("/quiet: no images for ")
    source.explain_silence(timeout_s=60.0)
    source.explain_silence(timeout_s=0.0)
    assert len(log.lines) == 2
    source.destroy()
