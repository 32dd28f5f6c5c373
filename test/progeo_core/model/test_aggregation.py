from __future__ import annotations

import torch

from progeo_core.model.aggregation import GeM, L2Norm, RootNorm, build_aggregation
from progeo_core.model.architecture import Head


def test_gem_lies_between_mean_and_maximum() -> None:
    features = torch.rand(2, 5, 4, 3) + 0.1
    assert torch.allclose(GeM(p=1.0)(features), features.mean((2, 3), keepdim=True))
    assert torch.allclose(GeM(p=200.0)(features), features.amax((2, 3), keepdim=True), atol=0.05)
    cubes = features.pow(3).mean((2, 3), keepdim=True).pow(1 / 3)
    assert torch.allclose(GeM()(features), cubes)


def test_norms_are_along_the_channels() -> None:
    features = torch.rand(2, 5, 4, 3)
    assert torch.allclose(L2Norm()(features).norm(dim=1), torch.ones(2, 4, 3))
    assert torch.allclose(RootNorm()(features).norm(dim=1), features.norm(dim=1).sqrt())
    assert torch.isfinite(RootNorm()(torch.zeros(1, 5, 2, 2))).all()


def test_every_head_gives_descriptors_of_unit_length() -> None:
    assert build_aggregation(Head.TOKEN, 8, 8) is None
    for head, dimension in ((Head.GEM, 8), (Head.GEM_LINEAR, 3)):
        aggregation = build_aggregation(head, 8, dimension)
        assert aggregation is not None
        descriptors = aggregation(torch.rand(2, 8, 4, 4))
        assert descriptors.shape == (2, dimension)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(2))


def test_names_of_weights_are_the_authors() -> None:
    aggregation = build_aggregation(Head.GEM_LINEAR, 8, 3)
    assert aggregation is not None
    assert list(aggregation.state_dict()) == ["1.p", "3.weight", "3.bias"]
