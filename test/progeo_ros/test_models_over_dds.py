"""Models of others on a robot: a map is built with one, and the node answers from it over DDS."""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from onnx import TensorProto, helper
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.localizer_process import LocalizerProcess

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

NODE, CAMERA = "/progeo_localizer", "/front/image_raw"
# A place as it looks from afar, in a dictionary as some repositories return it.
CODE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, side):
        super().__init__()
        self.layer = torch.nn.AdaptiveAvgPool2d(side)

    def forward(self, images):
        found = self.layer(images).flatten(1)
        return {"global_desc": found - found.mean(dim=1, keepdim=True)}

def make(side=8):
    return Net(side)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """Return a folder with a module, an entry of torch.hub and an ONNX file."""
    path: Path = tmp_path_factory.mktemp("models")
    for name in ("place_net.py", "hubconf.py"):
        (path / name).write_text(CODE)
    pool = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1]),
        helper.make_node("Sub", ["flat", "mean"], ["found"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 64, 64])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 192])
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(pool, "net", [image], [found])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path / "net.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        patch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)
        yield path


@pytest.fixture(scope="module")
def process(dds_domain, folder: Path) -> Iterator[LocalizerProcess]:
    """Start the node, which nobody has configured yet."""
    del dds_domain, folder
    parameters = {
        "device": "cpu",
        "cameras": [CAMERA],
        "image_reliability": "reliable",
        "localizer.min_confidence": 0.0,
        "localizer.sequence": False,
        "keyframes.features": 0,
    }
    with LocalizerProcess(parameters) as started:
        yield started


def change(peer, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(peer.call(ChangeState, f"{NODE}/change_state", request).success)


def set_parameters(peer, **values: Any) -> None:
    given = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    request = SetParameters.Request(parameters=given)
    results = peer.call(SetParameters, f"{NODE}/set_parameters", request).results
    assert all(one.successful for one in results), results


class Camera:
    """Camera and odometry of a robot that stands before a place."""

    def __init__(self, peer) -> None:
        self._peer, self.stamp_ns = peer, 1_700_000_000_000_000_000
        self._images = peer.node.create_publisher(Image, CAMERA, 10)
        self._odometry = peer.node.create_publisher(Odometry, "/odom", 10)
        self._poses = peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")

    def pose_before(self, path: Path) -> Any:
        """Send an image with odometry until its pose comes; return it."""
        pixels = read_image(path)
        height, width, _ = pixels.shape
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        message.data = array("B", pixels.tobytes())
        self._peer.wait_for(self._images.get_subscription_count, "the node's camera")
        self._peer.wait_for(self._odometry.get_subscription_count, "the node's odometry")
        self._poses.clear()
        while not self._poses:
            self.stamp_ns += 500_000_000
            odometry = Odometry()
            odometry.header.stamp = message.header.stamp = stamp_from_ns(self.stamp_ns)
            self._odometry.publish(odometry)
            self._images.publish(message)
            for _ in range(40):
                if not self._poses:
                    self._peer.executor.spin_once(timeout_sec=0.05)
        return self._poses[-1].pose.pose.position


@pytest.fixture(scope="module")
def camera(peer) -> Camera:
    return Camera(peer)


@pytest.mark.parametrize(
    ("model", "values", "kept"),
    [
        ("onnx:{folder}/net.onnx", 192, None),
        ("py:place_net:make?size=64", 192, None),
        ("hub:{folder}:make?side=16&size=64", 768, 12),
    ],
)
def test_a_model_of_others_makes_a_map_and_the_node_answers_from_it(
    peer, process, camera, folder: Path, places: Records, tmp_path: Path, model, values, kept
) -> None:
    model, path = model.format(folder=folder), tmp_path / "site.progeo"
    encoder = load_encoder(model, "cpu", trust_code=True)
    build_map(path, FileSource(places), encoder, dimension=kept)
    runs_code = not model.startswith("onnx:")

    set_parameters(peer, map=str(path), trust_code=False)
    if runs_code:
        assert not change(peer, Transition.TRANSITION_CONFIGURE)
        assert f"{model}: runs the code of others" in process.output()
        set_parameters(peer, trust_code=True)
    assert change(peer, Transition.TRANSITION_CONFIGURE)
    assert change(peer, Transition.TRANSITION_ACTIVATE)

    # The very images are in the map, so their own places must win.
    for row in (4, 15):
        pose = camera.pose_before(places.images[row])
        assert pose.x == pytest.approx(places.position[row, 0], abs=2.5)
    if kept is not None:
        _map_one_place_more(peer, camera, path, places)
    with PlaceMap.open(path) as place_map:
        assert (place_map.fingerprint.dimension, place_map.dimension) == (values, kept or values)
    assert change(peer, Transition.TRANSITION_DEACTIVATE)
    assert change(peer, Transition.TRANSITION_CLEANUP)


def _map_one_place_more(peer, camera: Camera, path: Path, places: Records) -> None:
    assert peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=True)).success
    camera.pose_before(places.images[9])
    response = peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=False))
    assert response.message == f"{path}: 21 places, in use from now on"
    assert camera.pose_before(places.images[2]).x == pytest.approx(places.position[2, 0], abs=2.5)
