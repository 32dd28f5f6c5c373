import json

import numpy as np


def test_descriptors_in_the_order_given(progeo, corridor, small_model, small_encoder, tmp_path):
    images = [corridor / "ref" / f"{number:07d}.jpg" for number in (7, 3)]
    empty = tmp_path / "empty.jpg"
    empty.touch()
    out = tmp_path / "some.npy"
    done = progeo("describe", images[0], empty, images[1], "--out", out, "--model", small_model)
    assert done.code == 0, done.err
    descriptors = np.load(out)
    assert descriptors.dtype == np.float32
    assert descriptors.shape == (2, small_encoder.fingerprint.dimension)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1.0, atol=1e-5)
    document = json.loads(out.with_suffix(".json").read_text())
    assert document["schema"] == 1
    assert document["images"] == [str(image) for image in images]
    assert document["skipped"] == [f"{empty}: the image is empty (0 bytes)"]
    assert document["model"]["name"] == "small"

    folder = tmp_path / "folder"
    folder.mkdir()
    for image in images:
        (folder / image.name).symlink_to(image)
    again = tmp_path / "folder.npy"
    assert progeo(
        "describe", "--images", folder, "--out", again, "--model", small_model
    ).code == 0  # fmt: skip
    # Sorted by name, so the other way round.
    np.testing.assert_allclose(np.load(again), descriptors[::-1], atol=1e-5)


def test_bad_use_and_failed_runs(progeo, small_model, tmp_path):
    done = progeo("describe", "--out", tmp_path / "a.npy")
    assert (done.code, done.error) == (2, "give image files or --images DIR, one of the two")
    done = progeo("describe", "a.jpg", "--out", tmp_path / "a.txt")
    assert done.code == 2
    assert "the file must be called NAME.npy" in done.error
    done = progeo("describe", "a.jpg", "--out", tmp_path / "a.npy", "--model", small_model)
    assert done.code == 1
    assert "none of 1 images can be used, first: a.jpg: the image cannot be read" in done.error
    assert list(tmp_path.iterdir()) == []
