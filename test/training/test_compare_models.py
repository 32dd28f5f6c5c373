"""The shipped scenes, as the table of docs/models.md compares models on them."""

from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"


def test_every_query_but_those_of_the_office_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    from compare_models import read_scenes

    counts = {}
    for name, database, queries, radius_m in read_scenes():
        assert all(image.is_file() for image in (*database.images, *queries.images))
        apart = queries.position[:, None] - database.position
        near = np.linalg.norm(apart[..., :2], axis=2) <= radius_m
        counts[name] = (len(database), len(queries), int(near.any(axis=1).sum()))
        assert near.mean() < 0.2
    assert counts["corridor"] == (111, 111, 111)
    assert counts["corridor loop"] == (40, 44, 44)
    assert counts["campus"] == (36, 36, 36)
    assert counts["office"][:2] == (79, 22)
