import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.descriptors import Describer
from progeo_core.train.options import read_options
from progeo_core.train.query_views import check_test_method, query_describer, query_views

FLAGS = "--pretrained none --fc_output_dim 16 --without_prompts --image_size 64"


def ramp(height: int, width: int) -> torch.Tensor:
    """Return an image that gets brighter from left to right."""
    across = torch.linspace(0, 255, width).round().to(torch.uint8)
    return across.expand(3, height, width).contiguous()


def mean_of_pixels(images: torch.Tensor) -> torch.Tensor:
    return images.float().mean(dim=(2, 3))


def test_the_shorter_side_is_that_of_the_database_and_the_aspect_stays() -> None:
    image = ramp(30, 90)
    (whole,) = query_views(image, 64, "single_query")
    (middle,) = query_views(image, 64, "central_crop")
    five = query_views(image, 64, "five_crops")
    assert whole.shape == (3, 64, 192)
    assert torch.equal(middle, whole[:, :, 64:128])
    assert five.shape == (5, 3, 64, 64)
    for left, view in zip((0, 128, 0, 128, 64), five, strict=True):
        assert torch.equal(view, whole[:, :, left : left + 64])


def test_a_query_is_described_by_the_mean_of_its_views() -> None:
    whole = Describer(lambda image: image[:, :64, :64], mean_of_pixels, 3, "squares", 8)
    described = {}
    for method in ("hard_resize", "single_query", "central_crop", "five_crops"):
        settings = read_options("Test.", [*FLAGS.split(), "--test_method", method])
        found = query_describer(settings, whole)
        described[method] = found.identity
        rows = found.encode(torch.stack([found.prepare(ramp(64, 192))] * 2))
        assert rows.shape == (2, 3)
        if method != "hard_resize":
            torch.testing.assert_close(rows, torch.full((2, 3), 127.5), atol=1.0, rtol=0)
    for method in ("nearest_crop", "maj_voting"):
        settings = read_options("Test.", [*FLAGS.split(), "--test_method", method])
        found = query_describer(settings, whole)
        described[method] = found.identity
        (row,) = found.encode(torch.stack([found.prepare(ramp(64, 192))]))
        assert found.dimension == len(row) == 15
        across = row.reshape(5, 3)[:, 0].sub(127.5).sign()
        assert across.tolist()[:4] == [-1, 1, -1, 1]
    assert described["nearest_crop"] == described["maj_voting"]
    assert len(set(described.values())) == 5
    assert described["hard_resize"] == "squares"


@pytest.mark.usefixtures("tiny_models")
def test_what_takes_squares_only_is_said_before_the_work() -> None:
    flags = [*FLAGS.split(), "--test_method", "single_query", "--backbone"]
    for backbone in ("tiny-resnet", "tiny-vit"):
        settings = read_options("Test.", [*flags, backbone])
        towers = load_towers(settings, "evaluation")
        if backbone == "tiny-resnet":
            check_test_method(settings, towers)
            continue
        with pytest.raises(UsageError, match="takes squares only: give central_crop or five_crops"):
            check_test_method(settings, towers)


def test_models_of_maps_see_images_as_they_were_made_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options("Test.", ["--model", "progeo-tiny", "--test_method", "five_crops"])
    assert "leave one of them out" in capsys.readouterr().err
