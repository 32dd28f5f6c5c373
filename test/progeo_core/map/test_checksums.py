import numpy as np

from progeo_core.map.checksums import (
    _keys,
    descriptor_checksums,
    fields_checksum,
    label_checksum,
    pose_checksums,
)
from progeo_core.map.places import PlacePoses


def poses_of(ids, numbers):
    return PlacePoses(np.asarray(ids), numbers[:, :3].copy(), numbers[:, 3].copy())


def test_every_flipped_bit_of_a_word_changes_a_checksum() -> None:
    # A word's change times its key must reach the 52 bits that are kept, either way round.
    keys = _keys(10_000)
    for bit in range(32):
        change = keys << np.uint64(bit)
        assert change.min() >= 2**12
        assert change.max() <= np.uint64(2**64 - 2**12)


def test_every_flipped_bit_of_a_pose_is_seen() -> None:
    numbers = np.random.default_rng(0).normal(size=(1, 4)) * 100
    good = pose_checksums(poses_of([7], numbers))
    for bit in range(4 * 64):
        flipped = numbers.copy()
        flipped.view(np.uint8).ravel()[bit // 8] ^= 1 << bit % 8
        assert pose_checksums(poses_of([7], flipped)) != good


def test_every_flipped_bit_of_a_descriptor_is_seen() -> None:
    for dimension in (8, 9):
        vectors = np.random.default_rng(0).normal(size=(2, dimension)).astype(np.float16)
        good = descriptor_checksums(np.array([3, 4]), vectors)
        for bit in range(dimension * 16):
            flipped = vectors.copy()
            flipped.view(np.uint8)[1, bit // 8] ^= 1 << bit % 8
            first, second = descriptor_checksums(np.array([3, 4]), flipped)
            assert first == good[0]
            assert second != good[1]


def test_rows_of_two_places_are_not_exchanged_unseen() -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 4))
    vectors = numbers.astype(np.float16)
    one, other = np.array([1, 2]), np.array([2, 1])
    assert (
        pose_checksums(poses_of(one, numbers)) != pose_checksums(poses_of(other, numbers))
    ).all()
    assert (descriptor_checksums(one, vectors) != descriptor_checksums(other, vectors)).all()
    assert label_checksum(1, 0, "a", "b", "c", None) != label_checksum(2, 0, "a", "b", "c", None)
    assert label_checksum(1, 0, "a", "bc", "", None) != label_checksum(1, 0, "ab", "c", "", None)


def test_what_sqlite_does_not_keep_does_not_count() -> None:
    numbers = np.array([[0.0, 1.0, 2.0, np.nan]])
    other = np.array([[-0.0, 1.0, 2.0, -np.nan]])
    assert pose_checksums(poses_of([1], numbers)) == pose_checksums(poses_of([1], other))


def test_checksums_are_part_of_the_file_format() -> None:
    numbers = np.array([[1.0, -2.5, 3.0, 0.5]])
    assert pose_checksums(poses_of([1], numbers)).tolist() == [2532569928880156]
    assert descriptor_checksums(np.array([1]), numbers.astype(np.float16)).tolist() == [
        1109788779642294
    ]
    assert label_checksum(1, 2, "front", "", "ü.jpg", None, 0) != 3515820305
    assert label_checksum(1, 2, "front", "", "ü.jpg", None) == 3515820305
    assert fields_checksum("a", 1.5, None, 3) == 3694184379
    assert pose_checksums(poses_of(np.empty(0, np.int64), np.empty((0, 4)))).shape == (0,)
