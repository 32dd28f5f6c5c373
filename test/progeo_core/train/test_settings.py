import dataclasses

import pytest

from progeo_core.errors import UsageError
from progeo_core.train.settings import (
    EvaluationSettings,
    RunSettings,
    Stage2Settings,
    TrainingSettings,
)


def test_every_flag_is_in_one_group_and_has_a_description() -> None:
    fields = [
        field
        for group in dataclasses.fields(TrainingSettings)
        for field in dataclasses.fields(getattr(TrainingSettings(), group.name))
    ]
    names = [field.name for field in fields]
    assert len(set(names)) == len(names)
    assert all(field.metadata["description"] for field in fields)


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (Stage2Settings, {"image_size": 31}, "image_size = 31: must be between 32 and inf"),
        (Stage2Settings, {"random_resized_crop": 1.0}, "random_resized_crop = 1"),
        (EvaluationSettings, {"positive_dist_threshold": -1.0}, "positive_dist_threshold = -1"),
        (RunSettings, {"amp_dtype": "float8"}, "float16"),
    ],
)
def test_values_out_of_range_are_refused_by_name(
    group: type, values: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        group(**values)
