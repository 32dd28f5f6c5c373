"""Blocks of a run that wait on disk: as they were, for the same files only."""

import numpy as np
import pytest

from progeo_core.descriptors.encoder import Skipped
from progeo_core.errors import ImageError
from progeo_core.fleet.described_blocks import DescribedBlock
from progeo_core.fleet.kept_blocks import KeptBlocks
from progeo_core.map.described_images import DescribedImage

DESCRIBED = [DescribedImage(row, np.arange(3, dtype=np.float32) + row, b"", None) for row in (4, 6)]
SKIPPED = [Skipped(5, ImageError("5.jpg: the image is empty"))]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "4.jpg"
    path.write_bytes(b"pixels")
    return path


def test_blocks_come_back_until_they_are_removed(image):
    kept = KeptBlocks("blocks", [image])
    kept.keep(DescribedBlock(3, DESCRIBED, SKIPPED, None, "numpy"))
    kept.keep(DescribedBlock(1, [], [Skipped(9, ImageError("9.jpg: gone"))], None, "numpy"))
    some, none = KeptBlocks("blocks", [image]).read()
    assert (some.images, some.runs_in) == (3, "numpy")
    for one, wanted in zip(some.described, DESCRIBED, strict=True):
        assert one.row == wanted.row
        np.testing.assert_array_equal(one.descriptor, wanted.descriptor)
    assert [(one.index, str(one.error)) for one in some.skipped + none.skipped] == [
        (5, "5.jpg: the image is empty"),
        (9, "9.jpg: gone"),
    ]
    kept.remove()
    assert not [*kept.read()]


def test_other_files_and_other_models_are_other_runs(image):
    kept = KeptBlocks("one", [image])
    kept.keep(DescribedBlock(2, DESCRIBED, [], None, ""))
    assert not [*KeptBlocks("another", [image]).read()]
    image.write_bytes(b"other pixels")
    assert not [*KeptBlocks("one", [image]).read()]
    kept.remove()


def test_a_disk_that_takes_nothing_is_no_error(image, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(image))
    kept = KeptBlocks("full", [image])
    kept.keep(DescribedBlock(2, DESCRIBED, [], None, ""))
    assert not [*kept.read()]
