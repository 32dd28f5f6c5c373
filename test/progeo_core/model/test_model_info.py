from __future__ import annotations

from pathlib import Path

import pytest
import torch

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.model.backbone import blank_backbone
from progeo_core.model.model_info import describe_model


@pytest.mark.slow
def test_describes_a_backbone_without_its_weights() -> None:
    info = describe_model("ViT-B-16-SigLIP:webli")

    assert (info.form, info.head, info.dimension) == ("backbone", "token", 768)
    assert info.preprocessing == "224x224 bicubic, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"
    assert "webli" in info.pretrained
    assert info.parameters > 80_000_000


@pytest.mark.slow
def test_names_the_backbone_that_is_built_for_the_weights() -> None:
    assert describe_model("ViT-B-32:openai").backbone == "ViT-B-32-quickgelu"
    assert describe_model("ViT-B-32:laion2b_e16").backbone == "ViT-B-32"


def test_describes_a_model_folder(small_model: Path) -> None:
    document = describe_model(str(small_model)).to_json()
    assert (document["schema"], document["form"]) == (1, "model folder")
    assert document["path"] == str(small_model)
    assert document["weights_bytes"] == (small_model / "model.safetensors").stat().st_size


@pytest.mark.slow
def test_describes_a_checkpoint_by_its_weights_alone(tmp_path: Path) -> None:
    tower = blank_backbone("CLIP-ViT-B-32").tower.state_dict()
    one = torch.zeros(())
    path = tmp_path / "ViT-B-32.pt"
    torch.save({f"visual.{name}": one.expand(tower[name].shape) for name in tower}, path)
    info = describe_model(str(path))
    assert (info.form, info.backbone, info.dimension) == ("checkpoint", "CLIP-ViT-B-32", 512)
    assert info.preprocessing.startswith("224x224")


def test_refuses_checkpoints_of_nothing_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"visual.conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(ModelMismatchError, match="of no backbone that ProGEO uses"):
        describe_model(str(path))
    path.write_bytes(b"PK\3\4 and no archive")
    network = tmp_path / "net.onnx"
    network.touch()
    with pytest.raises(DataError, match=r"name the model as onnx:.*net\.onnx"):
        describe_model(str(network))
    with pytest.raises(DataError, match="not a checkpoint of tensors, or damaged"):
        describe_model(str(path))


def test_a_map_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a map; progeo map info .*yard\.progeo names its model"):
        describe_model(str(tmp_path / "yard.progeo"))
