from __future__ import annotations

import torch

from progeo_core.model.position_embedding import Grid, interpolate_position_embedding, square_grid


def test_an_embedding_of_the_same_grid_stays() -> None:
    embedding = torch.rand(1 + 49, 8)
    assert square_grid(embedding) == Grid(7, 7)
    assert interpolate_position_embedding(embedding, Grid(7, 7)) is embedding


def test_corners_and_class_token_stay_where_they_are() -> None:
    embedding = torch.rand(1 + 49, 8)
    larger = interpolate_position_embedding(embedding, Grid(16, 12))
    assert larger.shape == (1 + 16 * 12, 8)
    assert torch.equal(larger[0], embedding[0])
    old, new = embedding[1:].reshape(7, 7, 8), larger[1:].reshape(16, 12, 8)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert torch.allclose(new[row, column], old[row, column], atol=1e-5)


def test_rows_are_not_taken_for_columns() -> None:
    height = torch.arange(7.0).repeat_interleave(7)[:, None]
    larger = interpolate_position_embedding(torch.cat([torch.zeros(1, 1), height]), Grid(13, 7))
    expected = torch.arange(13.0).repeat_interleave(7)[:, None] / 2
    assert torch.allclose(larger[1:], expected, atol=0.1)
