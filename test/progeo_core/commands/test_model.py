import json

import numpy as np
import pytest

from progeo_core.commands.options import MODEL
from progeo_core.images.codec import read_image
from progeo_core.model.built_in import DEFAULT_MODEL


def test_the_node_and_the_commands_have_one_default():
    pytest.importorskip("rclpy", reason="the node's settings need rclpy")
    from progeo_ros.settings import NodeSettings

    # The node takes the model of its map; without one it maps by the default, as `map build` does.
    assert NodeSettings().model == ""
    assert (DEFAULT_MODEL, NodeSettings().device) == (MODEL.model, MODEL.device)


def test_info_as_text_and_json(progeo, small_model):
    document = json.loads(progeo("model", "info", small_model, "--json").out)
    assert document["schema"] == 1
    assert document["name"] == "small"
    assert document["form"] == "model folder"
    assert document["dimension"] == 1280
    assert len(document["weights_sha256"]) == 64
    text = progeo("model", "info", small_model).out
    assert "128x128" in text
    assert document["weights_sha256"] in text


def test_what_is_no_model_is_refused(progeo, tmp_path):
    done = progeo("model", "info", "no-such-model")
    assert done.code == 2
    assert "unknown model 'no-such-model'" in done.error
    checkpoint = tmp_path / "best_model.pth"
    checkpoint.write_bytes(b"not a checkpoint")
    done = progeo("model", "import", checkpoint, "--backbone", "CLIP-RN50", "--out", tmp_path / "m")
    assert done.code == 1
    assert str(checkpoint) in done.error
    assert not (tmp_path / "m").exists()
    done = progeo("model", "import", checkpoint)
    assert done.code == 2
    assert "--backbone" in done.error


@pytest.mark.slow
def test_export_gives_the_encoders_descriptors(
    progeo, small_model, small_encoder, corridor, tmp_path
):
    pytest.importorskip("onnx", reason="exporting needs the package onnx")
    runtime = pytest.importorskip("onnxruntime", reason="running ONNX needs onnxruntime")
    import cv2

    out = tmp_path / "small.onnx"
    done = progeo("model", "export", "--out", out, "--model", small_model)
    assert done.code == 0, done.err
    session = runtime.InferenceSession(str(out))
    images = [read_image(corridor / "ref" / f"{number:07d}.jpg") for number in (0, 50)]
    # Already of the model's size, so that resizing is not part of the comparison.
    images = [np.asarray(cv2.resize(image, (128, 128)), np.uint8) for image in images]
    pixels = np.stack([image.transpose(2, 0, 1) for image in images])
    (descriptors,) = session.run(None, {session.get_inputs()[0].name: pixels})
    np.testing.assert_allclose(descriptors, small_encoder.encode(images), atol=1e-4)


def test_export_replaces_nothing_unasked(progeo, tmp_path):
    out = tmp_path / "mine.onnx"
    out.write_text("mine")
    done = progeo("model", "export", "--out", out)
    assert (done.code, out.read_text()) == (2, "mine")
    assert "exists already: replace it with --force" in done.error


def test_a_folder_that_is_no_training_run_is_said(progeo, tmp_path):
    done = progeo("model", "history", tmp_path)
    assert done.code == 1
    assert "name the folder of a run, logs/SAVE_DIR/STAGE/TIME" in done.error
    assert list(tmp_path.iterdir()) == []
