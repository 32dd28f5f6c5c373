import numpy as np
import pytest

from progeo_core.descriptors.projection import learn_projection
from progeo_core.errors import UsageError


def unit_rows(count, values, rank, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, rank)) @ random.normal(size=(rank, values))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [20, 200])
def test_similarities_stay_where_there_are_as_many_values_as_components(count):
    rows = unit_rows(count, 64, rank=12)
    short = learn_projection(rows, 16).apply(rows)
    assert short.shape == (count, 16)
    np.testing.assert_allclose(short @ short.T, rows @ rows.T, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1.0, atol=1e-5)


def test_directions_that_were_never_seen_keep_some_of_their_similarity():
    rows, later = unit_rows(10, 256, rank=8), unit_rows(40, 256, rank=40, seed=1)
    short = learn_projection(rows, 64).apply(later)
    likeness = np.corrcoef((short @ short.T).ravel(), (later @ later.T).ravel())[0, 1]
    assert likeness > 0.8


def test_every_value_says_as_much_as_any_other():
    rows = unit_rows(300, 64, rank=64) * np.geomspace(1.0, 1e-3, 64)
    spread = learn_projection(rows, 16).apply(rows).std(axis=0)
    assert spread.max() < 5.0 * spread.min()


def test_equal_descriptors_and_lengths_that_are_no_shorter():
    alike = np.tile(unit_rows(1, 32, rank=1), (5, 1))
    assert np.isfinite(learn_projection(alike, 8).apply(alike)).all()
    for dimension in (0, 32, 40):
        with pytest.raises(UsageError, match=f"32 values cannot be shortened to {dimension}"):
            learn_projection(alike, dimension)
