from typing import Any

import numpy as np
import pytest
import torch

from progeo_core.errors import DataError
from progeo_core.inference.foreign_output import check_descriptors, describe_each, descriptor_of

ROWS = torch.eye(3)[:2]


@pytest.mark.parametrize(
    "output", [ROWS, (ROWS, torch.ones(4)), {"attention": 0, "global_descriptor": ROWS}]
)
def test_the_descriptor_is_found_among_what_networks_return(output: Any) -> None:
    assert descriptor_of("net", output) is ROWS


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([ROWS], "net: returns a list, not a tensor"),
        (
            {"x": ROWS},
            "net: returns a dictionary of x; a descriptor needs one of the names global_descriptor",
        ),
        (torch.zeros(1, 3, 4, 4), r"net: returns the shape \[1, 3, 4, 4\]"),
        (torch.zeros(1, 20_000), "D from 2 to 16384"),
    ],
)
def test_anything_else_is_one_line(output: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        descriptor_of("net", output)


def test_lengths_are_checked_said_and_mended(caplog: pytest.LogCaptureFixture) -> None:
    check_descriptors("net", np.array([[3.0, 4.0]], np.float32))
    assert "net: its descriptors have the length 5 and are normalised" in caplog.text
    images = [np.zeros((2, 2, 3), np.uint8)] * 2
    described = describe_each("net", images, 2, lambda _: np.array([[3.0, 4.0]], np.float32))
    np.testing.assert_allclose(described, [[0.6, 0.8]] * 2)
    for wrong in (np.nan, 0.0):
        with pytest.raises(DataError, match="net: its descriptors are not finite, or 0"):
            check_descriptors("net", np.array([[wrong, wrong]], np.float32))


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (np.ones((1, 4)), r"net: returns the shape \[1, 4\] for an image of 3x2 pixels"),
        (np.ones((0, 2)), r"and \[1, 2\] for others"),
    ],
)
def test_a_network_that_fails_at_a_later_image_is_one_line(later: Any, message: str) -> None:
    answers = iter((np.ones((1, 2), np.float32), later.astype(np.float32)))
    images = [np.zeros((2, 3, 3), np.uint8)] * 2
    with pytest.raises(DataError, match=message):
        describe_each("net", images, 2, lambda _: next(answers))


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_an_image_that_a_network_fails_on_costs_no_other(wrong: float) -> None:
    answers = iter(np.array([[[3.0, 4.0]], [[wrong, 0.0]], [[0.0, 2.0]]], np.float32))
    images = [np.zeros((2, 3, 3), np.uint8)] * 3
    described = describe_each("net", images, 2, lambda _: next(answers))
    np.testing.assert_allclose(described, [[0.6, 0.8], [np.nan, np.nan], [0.0, 1.0]])
