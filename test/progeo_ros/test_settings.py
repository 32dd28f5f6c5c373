import dataclasses

import pytest

from progeo_core.errors import UsageError
from progeo_ros.settings import NodeSettings, PoseGraphNodeSettings, PoseRelayNodeSettings


@pytest.mark.parametrize("kind", [NodeSettings, PoseGraphNodeSettings, PoseRelayNodeSettings])
def test_the_defaults_are_allowed_and_explained(kind: type) -> None:
    kind()
    for field in dataclasses.fields(kind):
        assert len(field.metadata["description"]) > 10


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_transport": "theora"}, "image_transport = 'theora': must be one of raw"),
        ({"mapping_reference": "gps"}, "mapping_reference = 'gps': must be one of odometry"),
        ({"image_depth": 0}, "image_depth"),
        ({"image_timeout_s": float("nan")}, "image_timeout_s"),
        ({"camera_extrinsics": "0 0 0 0 0 0 1"}, "must be of type tuple"),
        ({"cameras": "front"}, "must be of type tuple"),
    ],
)
def test_other_values_are_refused_by_name(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        NodeSettings(**change)  # type: ignore[arg-type]


def test_an_integer_is_a_float_where_one_is_meant() -> None:
    period_s = PoseGraphNodeSettings(period_s=2).period_s
    assert (period_s, type(period_s)) == (2.0, float)
