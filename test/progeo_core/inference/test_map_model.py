from pathlib import Path

import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.inference.map_model import model_of_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.built_in import built_in_folder


def named(path: Path, name: str) -> str:
    fingerprint = ModelFingerprint("net", 64, "322", "ab" * 32, name=name)
    with PlaceMap.create(path, fingerprint) as place_map:
        return model_of_map(place_map)


@pytest.mark.parametrize(
    "name", ["mobilenetv2-gem", "megaloc", "CLIP-RN50:openai", "hub:folder:make"]
)
def test_a_map_names_what_its_model_is_loaded_by(tmp_path: Path, name: str) -> None:
    assert named(tmp_path / "m.progeo", name) == name


def test_a_folder_is_found_beside_the_map_or_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"made with own .* say where it is with --model FOLDER"):
        named(tmp_path / "m.progeo", "own")
    shipped = built_in_folder("progeo-tiny")
    assert shipped is not None
    (tmp_path / "own").symlink_to(shipped)
    assert named(tmp_path / "n.progeo", "own") == str(tmp_path / "own")


def test_an_onnx_file_is_found_here_and_beside_the_map_that_it_moved_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"made with onnx:.* is with --model onnx:FILE"):
        named(tmp_path / "lost.progeo", "onnx:nets/net.onnx?size=64")
    (tmp_path / "here" / "nets").mkdir(parents=True)
    (tmp_path / "here" / "nets" / "net.onnx").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert (
        named(tmp_path / "a.progeo", "onnx:nets/net.onnx?size=64") == "onnx:nets/net.onnx?size=64"
    )
    (tmp_path / "net.onnx").touch()
    monkeypatch.chdir(tmp_path)
    beside = f"onnx:{tmp_path / 'net.onnx'}?size=64"
    assert named(tmp_path / "b.progeo", "onnx:nets/net.onnx?size=64") == beside


def test_weights_of_a_backbone_are_found_beside_the_map_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match=r"made with RN50:.* is with --model RN50:FILE"):
        named(tmp_path / "lost.progeo", "RN50:nets/clip.pt")
    (tmp_path / "clip.pt").touch()
    assert named(tmp_path / "a.progeo", "RN50:nets/clip.pt") == f"RN50:{tmp_path / 'clip.pt'}"


def test_a_folder_of_hugging_face_is_found_beside_the_map_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"made with hf:.* is with --model hf:FOLDER"):
        named(tmp_path / "lost.progeo", "hf:nets/clip")
    (tmp_path / "clip").mkdir()
    assert named(tmp_path / "a.progeo", "hf:nets/clip") == f"hf:{tmp_path / 'clip'}"
