import shutil

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.evaluation.comparison.kept_descriptors import describe_once


class CountingEncoder:
    """Encoder that describes an image by its mean colour, and counts images."""

    def __init__(self, weights="a"):
        self.fingerprint = ModelFingerprint("mean", 3, "as it is", weights)
        self.encoded = 0

    def encode(self, images):
        self.encoded += len(images)
        return np.stack([image.mean(axis=(0, 1)) for image in images]).astype(np.float32)


@pytest.fixture
def files(corridor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [tmp_path / name for name in ("a.jpg", "b.jpg", "broken.jpg")]
    for file, source in zip(files, sorted((corridor / "ref").iterdir()), strict=False):
        shutil.copy(source, file)
    files[2].write_bytes(b"no image")
    return files


def test_equal_files_are_described_once(files, tmp_path):
    encoder = CountingEncoder()
    seen: list[int] = []
    rows = describe_once(encoder, files, seen.append)
    assert encoder.encoded == 2
    assert np.isfinite(rows[:2]).all()
    assert np.isnan(rows[2]).all()
    elsewhere = [file.rename(tmp_path / f"moved-{file.name}") for file in files]
    np.testing.assert_array_equal(describe_once(encoder, elsewhere, seen.append), rows)
    assert encoder.encoded == 2
    assert sum(seen) == 6
    shutil.copy(elsewhere[0], elsewhere[1])
    changed = describe_once(encoder, elsewhere)
    np.testing.assert_array_equal(changed[1], rows[0])


def test_other_weights_and_damaged_files_are_described_again(files, tmp_path):
    encoder, other = CountingEncoder(), CountingEncoder("b")
    rows = describe_once(encoder, files)
    describe_once(other, files)
    assert other.encoded == 2
    for kept in (tmp_path / "cache" / "progeo" / "descriptors").iterdir():
        kept.write_bytes(kept.read_bytes()[:-5])
    np.testing.assert_array_equal(describe_once(encoder, files), rows)
    assert encoder.encoded == 4
