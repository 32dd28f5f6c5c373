from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from progeo_core.errors import DataError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.onnx_export import export_onnx


def write(
    path: Path,
    dimension: int = 64,
    batch: int | str = "n",
    side: int | str = 32,
    *,
    rank: int = 2,
    channels_last: bool = False,
    inputs: tuple[str, ...] = ("pixels",),
    scale: float = 1.0,
) -> Path:
    """Write a network: the mean of each channel times a matrix [3, dimension]."""
    weights = np.random.default_rng(0).normal(size=(3, dimension)) * scale
    axes, sides = ([1, 2], [side, side, 3]) if channels_last else ([2, 3], [3, side, side])
    nodes = [helper.make_node("ReduceMean", [inputs[0]], ["mean"], axes=axes, keepdims=0)]
    nodes += [helper.make_node("MatMul", ["mean", "w"], ["found"])]
    if rank == 3:
        nodes += [helper.make_node("Unsqueeze", ["found", "axis"], ["deep"])]
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *sides])
            for name in inputs
        ],
        [
            helper.make_tensor_value_info("found", TensorProto.FLOAT, [batch, dimension])
            if rank == 2
            else helper.make_tensor_value_info("deep", TensorProto.FLOAT, [batch, dimension, 1])
        ],
        [
            numpy_helper.from_array(weights.astype(np.float32), "w"),
            numpy_helper.from_array(np.array([2], np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("dimension", "batch", "side"), [(64, "n", 32), (12_288, 1, "s"), (512, 2, 32)]
)
def test_a_file_of_any_length_and_batch_describes_images(
    tmp_path: Path, corridor: Path, dimension: int, batch: int | str, side: int | str
) -> None:
    path = write(tmp_path / "net.onnx", dimension, batch, side)
    encoder = load_encoder(f"onnx:{path}", "cpu")
    images = [read_image(corridor / "ref" / f"000000{row}.jpg") for row in range(3)]
    found = encoder.encode(images)
    assert found.shape == (3, dimension)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found[1], encoder.encode(images[1:2])[0])
    assert encoder.fingerprint.image_side == (32 if side == 32 else 322)


def test_weights_and_what_is_seen_tell_files_apart(tmp_path: Path) -> None:
    one = load_encoder(f"onnx:{write(tmp_path / 'a.onnx', side='s')}", "cpu").fingerprint
    same = load_encoder(f"onnx:{write(tmp_path / 'b.onnx', side='s')}", "cpu").fingerprint
    other = load_encoder(f"onnx:{write(tmp_path / 'c.onnx', side='s', scale=2.0)}", "cpu")
    smaller = load_encoder(f"onnx:{tmp_path / 'a.onnx'}?size=64&mean=0,0,0", "cpu")
    assert one == same
    assert other.fingerprint != one
    assert smaller.fingerprint != one


@pytest.mark.parametrize("name", ["a.bin", f"{'long' * 40}.bin"])
def test_weights_in_a_file_of_any_name_tell_models_apart(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "net.onnx", 2048)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=name)
    one = load_encoder(f"onnx:{path}", "cpu").fingerprint
    weights = np.fromfile(tmp_path / name, np.float32)
    (-weights).tofile(tmp_path / name)
    assert load_encoder(f"onnx:{path}", "cpu").fingerprint != one


@pytest.mark.slow
def test_our_own_export_describes_as_its_model_does(tmp_path: Path, corridor: Path) -> None:
    path = export_onnx("mobilenetv2-gem", tmp_path / "gem.onnx")
    image = read_image(corridor / "ref" / "0000000.jpg")
    one, other = (
        load_encoder(model, "cpu", runtime).encode([image])[0]
        for model, runtime in ((f"onnx:{path}", "auto"), ("mobilenetv2-gem", "torch"))
    )
    assert float(np.dot(one, other)) > 0.999


def test_what_is_no_such_network_is_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a graph")
    two = write(tmp_path / "two.onnx", inputs=("pixels", "mask"))
    deep, huge = write(tmp_path / "deep.onnx", rank=3), write(tmp_path / "nan.onnx", scale=np.inf)
    flat = write(tmp_path / "flat.onnx")
    last = write(tmp_path / "last.onnx", side="s", channels_last=True)
    for address, message in (
        (tmp_path / "absent.onnx", "no such ONNX file"),
        (damaged, "damaged.onnx: cannot be read as ONNX"),
        (two, r"has 2 inputs \(pixels, mask\)"),
        (deep, r"one output \[n, D\] is needed, and it has deep"),
        (last, r"images \[n, 3, height, width\] are needed"),
        (huge, "its descriptors are not finite"),
        (f"{flat}?size=64", "takes images of 32x32 pixels"),
        (f"{flat}?output=x", "has no output 'x': take one of found"),
    ):
        with pytest.raises((DataError, UsageError), match=message):
            load_encoder(f"onnx:{address}", "cpu")
    with pytest.raises(UsageError, match="runs in ONNX Runtime"):
        load_encoder(f"onnx:{flat}", "cpu", "torch")
    with pytest.raises(UsageError, match="runtime 'tensorrt' cannot use device 'cpu'"):
        load_encoder(f"onnx:{flat}", "cpu", "tensorrt")
    with pytest.raises(UsageError, match="name an ONNX file as onnx:"):
        load_encoder(str(flat), "cpu")


def test_weights_outside_the_folder_of_a_file_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    model = onnx.load(write(folder / "net.onnx", 2048))
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="net.onnx.data")
    first = load_encoder(f"onnx:{folder / 'net.onnx'}", "cpu").fingerprint
    (folder / "net.onnx.data").rename(tmp_path / "outside.data")
    for weight in model.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = "../outside.data"
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    assert first.dimension == 2048
    with pytest.raises(DataError, match=r"outside.data, which is outside its folder"):
        load_encoder(f"onnx:{folder / 'net.onnx'}", "cpu")


def test_weights_that_were_left_behind_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", 2048)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.onnx.data")
    (tmp_path / "net.onnx.data").unlink()
    with pytest.raises(DataError, match=r"weights are in .*net.onnx.data, which is missing"):
        load_encoder(f"onnx:{path}", "cpu")
