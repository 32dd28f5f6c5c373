"""Calibration files as ROS's camera_calibration writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from progeo_core.errors import DataError
from progeo_core.images.intrinsics import (
    COEFFICIENTS,
    LENS_MODELS,
    Intrinsics,
    intrinsics_of_ros,
)

# A calibration file has about 1 kB.
_MAX_BYTES = 65_536
_FIX = "write the file again with ROS's camera_calibration"


class _Loader(yaml.BaseLoader):
    """Loader of plain YAML: every scalar stays text, and aliases are refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(problem="aliases are not read")
        return super().compose_node(parent, index)


class _Fields(NamedTuple):
    """Mapping of one file, read key by key."""

    file: Path
    fields: Mapping[str, Any]

    def refusal(self, key: str, problem: str) -> DataError:
        """Build the error that names file and key."""
        return DataError(f"{self.file}: {key}: {problem}; {_FIX}")

    def text(self, key: str) -> str:
        """Return a text, or raise."""
        value = self.fields.get(key)
        if not isinstance(value, str):
            raise self.refusal(key, "is missing" if value is None else "must be one word")
        return value

    def side(self, key: str) -> int:
        """Return a number of pixels, or raise."""
        text = self.text(key)
        if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text)):
            raise self.refusal(key, f"'{text[:40]}' is not a number of pixels")
        return int(text)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return the numbers of a matrix, row by row, or raise."""
        matrix = self.fields.get(key)
        if matrix is None:
            raise self.refusal(key, "is missing")
        data = matrix.get("data") if isinstance(matrix, Mapping) else None
        if not isinstance(data, list):
            raise self.refusal(key, "must have the numbers of a matrix under `data`")
        try:
            return tuple(float(value) for value in data)
        except (TypeError, ValueError) as error:
            raise self.refusal(key, f"data must be numbers ({error})") from None


def read_calibration(path: str | Path) -> Intrinsics:
    """Read a calibration file (YAML) of raw images, as ROS's camera_calibration writes it.

    `camera_matrix` and the distortion count, as images come from the camera; rectification and
    projection matrix do not. Raises `DataError` naming file, key and fix.
    """
    file = Path(path)
    fields = _Fields(file, _read_mapping(file))
    width, height = fields.side("image_width"), fields.side("image_height")
    matrix = fields.numbers("camera_matrix")
    if len(matrix) != 9:
        raise fields.refusal("camera_matrix", f"has {len(matrix)} numbers instead of 9")
    if not any(matrix):
        raise fields.refusal("camera_matrix", "is all zero: the camera was never calibrated")
    distortion, model = fields.numbers("distortion_coefficients"), fields.text("distortion_model")
    if model not in LENS_MODELS:
        known = ", ".join(LENS_MODELS)
        raise fields.refusal("distortion_model", f"'{model}' is not one of {known}")
    expected = COEFFICIENTS[LENS_MODELS[model]]
    if any(distortion) and len(distortion) not in expected:
        raise fields.refusal(
            "distortion_coefficients",
            f"has {len(distortion)} numbers; {model} has {' or '.join(map(str, expected))}",
        )
    numbers = (width, height, matrix[0], matrix[4], matrix[2], matrix[5])
    found = intrinsics_of_ros(numbers, distortion, model)
    if found is None:
        raise fields.refusal(
            "camera_matrix and distortion_coefficients",
            "focal lengths must be positive and every number finite",
        )
    return found


def _read_mapping(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as content:
            data = content.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{file}: the calibration cannot be read ({error.strerror})") from error
    if len(data) > _MAX_BYTES:
        raise DataError(f"{file}: over {_MAX_BYTES // 1024} kB, which no calibration file has")
    try:
        content = _Loader(data.decode()).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(f"{file}: not YAML ({why}); {_FIX}") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{file}: not a calibration file: it has no keys; {_FIX}")
    return content
