import pytest

from progeo_core.errors import UsageError
from progeo_core.model.clip_backbone import clip_config, open_clip_name


def test_progeos_backbones_have_the_activation_of_openai() -> None:
    assert clip_config("CLIP-ViT-B-16")["quick_gelu"]
    assert open_clip_name("CLIP-ViT-B-16") == "ViT-B-16-quickgelu"


def test_lists_similar_names_for_one_that_is_unknown() -> None:
    with pytest.raises(UsageError, match=r"'ViT-B-61'.*similar: ViT-B-16"):
        open_clip_name("ViT-B-61")
