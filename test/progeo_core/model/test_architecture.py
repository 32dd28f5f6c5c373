import pytest

from progeo_core.model.architecture import Architecture, Head


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        (Head.TOKEN, "ViT-S-32"),
        (Head.GEM, "ViT-S-32+GeM"),
        (Head.GEM_LINEAR, "ViT-S-32+GeM+Linear"),
    ],
)
def test_is_shown_on_one_line(head, shown):
    assert str(Architecture("ViT-S-32", head, 8)) == shown
