"""What is kept of images, and what is not."""

import numpy as np

from progeo_core.descriptors.encoder import Skipped
from progeo_core.images.codec import decode_image
from progeo_core.map.described_images import DescribedImage, describe_images, places_of
from progeo_core.records.image_source import source_of_records
from test.fleet_images import BROKEN, GreyEncoder, write_records


def test_every_image_is_kept_as_a_place_or_skipped_by_name(corridor, tmp_path):
    images = sorted((corridor / "ref").glob("*.jpg"))[:6]
    source = source_of_records(write_records(tmp_path, images, 6))
    found = [*describe_images(source, source.records, GreyEncoder(), None)]
    (skipped,) = [one for one in found if isinstance(one, Skipped)]
    assert (skipped.index, "broken.jpg" in str(skipped.error)) == (BROKEN, True)
    kept = [one for one in found if isinstance(one, DescribedImage)]
    places = places_of(source.records, kept)
    np.testing.assert_array_equal(places.position[:, 0], [0, 1, 2, 4, 5])
    assert list(places.image) == [str(images[row]) for row in (0, 1, 2, 4, 5)]
    assert decode_image(kept[0].thumbnail, "thumbnail").shape == (120, 160, 3)
    assert list(places.views) == [None] * 5
