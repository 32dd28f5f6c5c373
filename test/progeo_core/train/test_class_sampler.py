import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import DataError
from progeo_core.train.class_sampler import ClassSampler

WHOLE = slice(None)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 10), st.integers(0, 9))
def test_batches_hold_distinct_classes(
    classes: int, batch_size: int, iterations: int, seed: int
) -> None:
    batch_size = min(classes, batch_size)
    batches = list(ClassSampler(classes, batch_size, iterations, (seed, 0), WHOLE))
    assert len(batches) == iterations
    assert all(len({draw.label for draw in batch}) == batch_size for batch in batches)
    assert all(0 <= draw.label < classes for batch in batches for draw in batch)


def test_draws_are_a_function_of_seed_and_epoch() -> None:
    first = list(ClassSampler(12, 4, 5, (0, 1), WHOLE))
    assert first == list(ClassSampler(12, 4, 5, (0, 1), WHOLE))
    assert first != list(ClassSampler(12, 4, 5, (0, 2), WHOLE))


def test_processes_share_the_batches_of_one() -> None:
    whole = list(ClassSampler(12, 4, 5, (0, 1), WHOLE))
    halves = [ClassSampler(12, 4, 5, (0, 1), part) for part in (slice(0, 2), slice(2, 4))]
    assert whole == [left + right for left, right in zip(*halves, strict=True)]


def test_every_class_comes_once_a_round() -> None:
    batches = ClassSampler(12, 4, 3, (5, 5), WHOLE)
    assert sorted(draw.label for batch in batches for draw in batch) == list(range(12))


def test_a_group_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(DataError, match=r"3 classes, too few for batches of 4 .* --batch_size"):
        ClassSampler(3, 4, 1, (0,), WHOLE)
