import pytest

from progeo_core.errors import UsageError
from progeo_core.inference.loading import load_encoder


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "CLIP-RN51",
            "models that ship are mobilenetv2-gem, .*progeo-tiny.*CLIP-RN50, CLIP-RN101",
        ),
        ("megalok", "did you mean megaloc.*presets are megaloc, boq-dinov2"),
        ("ViT-B-16-SiGLIP:webli", "similar: ViT-B-16-SigLIP"),
        ("ViT-B-16-SigLIP", "say which weights, as ViT-B-16-SigLIP:TAG.*webli"),
        ("MobileNetV2", "say which weights"),
        ("CLIP-RN50:opnai", "'opnai' is neither a file nor one of its tags .openai"),
    ],
)
def test_lists_what_is_known_for_a_name_that_is_not(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_encoder(model)
